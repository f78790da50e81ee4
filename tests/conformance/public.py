"""The public names, as a walk over `__all__` finds them."""

import inspect
from collections.abc import Callable
from typing import Any

import keras_mtl

Object = Callable[..., Any]


def public_objects() -> dict[str, Object]:
    """Classes and functions by name, as after `keras_mtl.`; of a data set, what loads it."""
    found: dict[str, Any] = {}
    for name in keras_mtl.__all__:
        value = getattr(keras_mtl, name)
        if inspect.ismodule(value):
            names = getattr(value, "__all__", [])
            found |= {f"{name}.{each}": getattr(value, each) for each in names}
        else:
            found[name] = value
    loaders = {f"{name}.load": v.load for name, v in found.items() if hasattr(v, "load")}
    return {name: value for name, value in {**found, **loaders}.items() if callable(value)}


def arguments(made: Object) -> list[str]:
    """Arguments that a caller may give by name, those of our base classes among them."""
    functions = [made]
    if inspect.isclass(made):
        ours = [each for each in made.__mro__ if each.__module__.startswith("keras_mtl")]
        functions = [vars(each)["__init__"] for each in ours if "__init__" in vars(each)]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signatures = [inspect.signature(function).parameters for function in functions]
    named = [p.name for found in signatures for p in found.values() if p.kind in kinds]
    return [name for name in dict.fromkeys(named) if name != "self"]


OBJECTS = public_objects()
