"""The catalogue of constructors, by name."""

import fnmatch
from collections.abc import Callable
from typing import Any, TypeVar

from keras_mtl.checks import check_choice
from keras_mtl.model import MultiTaskModel

Constructor = TypeVar("Constructor", bound=Callable[..., MultiTaskModel])

_CONSTRUCTORS: dict[str, Callable[..., MultiTaskModel]] = {}


def register_model(constructor: Constructor) -> Constructor:
    """Enters a constructor under its own name."""
    _CONSTRUCTORS[constructor.__name__] = constructor
    return constructor


def list_models(pattern: str = "*") -> list[str]:
    """Names of the constructors that match a shell pattern, sorted.

    Args:
        pattern: For instance `"*moe*"`.

    Example:

    >>> list_models("*moe*")
    ['mmoe', 'moe']
    """
    return sorted(fnmatch.filter(_CONSTRUCTORS, pattern))


def get_constructor(name: str) -> Callable[..., MultiTaskModel]:
    """The constructor called `name`.

    Args:
        name: One of `list_models()`.

    Raises:
        ValueError: If there is none; the sentence names the nearest one.

    Example:

    >>> get_constructor("ple").__name__
    'ple'
    """
    return _CONSTRUCTORS[check_choice("name", name, list_models())]


def create(name: str, /, inputs: Any, tasks: Any, **arguments: Any) -> MultiTaskModel:
    """Makes the model called `name`.

    Args:
        name: One of `list_models()`.
        inputs: As for every constructor.
        tasks: As for every constructor.
        **arguments: The constructor's own arguments, among them the model's `name`.

    Raises:
        ValueError: If there is no such model.

    Example:

    >>> create("shared_bottom", 4, ["click", "buy"], bottom_units=(8,)).name
    'shared_bottom'
    """
    return get_constructor(name)(inputs, tasks, **arguments)
