"""What a function or a class accepts, by its signature: what study files are checked against."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any

from keras_mtl.checks import did_you_mean

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_LISTS = ("Sequence", "Iterable", "list", "tuple")


def arguments_of(target: Callable[..., Any]) -> dict[str, Parameter]:
    """Named arguments of a function, or of a class and the bases it passes its `**kwargs` on to."""
    if not inspect.isclass(target):
        return _named(target)
    found: dict[str, Parameter] = {}
    for cls in target.__mro__[:-1]:
        if "__init__" in vars(cls):
            found = {**_named(vars(cls)["__init__"]), **found}
            if not _passes_on(vars(cls)["__init__"]):
                break
    found.pop("self", None)
    return found


def takes_list(parameter: Parameter) -> bool:
    """Whether the argument itself is a list, so that only a list of lists is a grid over it."""
    if isinstance(parameter.default, list | tuple):
        return True
    annotation = parameter.annotation
    return any(word in str(annotation) for word in _LISTS)


def check_keys(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises `ValueError`, naming the nearest known key, for the first key that is not known."""
    known = sorted(known)
    for key in given:
        if key not in known:
            raise ValueError(
                f"Key `{key}` in {where} must be one of {', '.join(known)}."
                f"{did_you_mean(key, known)} Received: {key}"
            )


def import_name(name: str) -> Any:
    """The object that `package.module:name` stands for."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"A name `package.module:function` must be importable. Received: {name!r} ({error})"
        ) from error


def _named(target: Callable[..., Any]) -> dict[str, Parameter]:
    parameters = inspect.signature(target).parameters
    return {name: given for name, given in parameters.items() if given.kind in _NAMED}


def _passes_on(target: Callable[..., Any]) -> bool:
    parameters = inspect.signature(target).parameters.values()
    return any(given.kind is Parameter.VAR_KEYWORD for given in parameters)
