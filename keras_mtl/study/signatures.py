"""What a function or a class accepts, by its signature: what study files are checked against."""

import inspect
from collections.abc import Callable, Iterable
from inspect import Parameter
from typing import Any

from keras_mtl.checks import did_you_mean

_NAMED = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


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


def check_keys(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raises `ValueError`, naming the nearest known key, for the first key that is not known."""
    known = sorted(known)
    for key in given:
        if key not in known:
            raise ValueError(
                f"Key `{key}` in {where} must be one of {', '.join(known)}."
                f"{did_you_mean(key, known)} Received: {key}"
            )


def _named(target: Callable[..., Any]) -> dict[str, Parameter]:
    try:
        parameters = inspect.signature(target, eval_str=True).parameters
    except Exception:  # a user's annotation may be text that means nothing here
        parameters = inspect.signature(target).parameters
    return {name: given for name, given in parameters.items() if given.kind in _NAMED}


def _passes_on(target: Callable[..., Any]) -> bool:
    parameters = inspect.signature(target).parameters.values()
    return any(given.kind is Parameter.VAR_KEYWORD for given in parameters)
