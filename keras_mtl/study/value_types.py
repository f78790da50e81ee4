"""Which values of a study file an argument takes, by its annotation or else by its default."""

import inspect
import json
import os
from collections.abc import Iterable, Mapping
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import keras

from keras_mtl.study.keras_objects import KerasObject

# TOML has no null.
_NONE = "none"
# A type or what `typing` makes of types: Python has no name for both.
Hint = Any


class PositiveInteger:
    """An integer of at least 1; a name for annotations."""


_WORDS: dict[Hint, str] = {
    bool: "true or false",
    int: "an integer",
    PositiveInteger: "an integer of at least 1",
    float: "a number",
    str: "a string",
    KerasObject: "a table with a `class_name`",
    NoneType: 'the word "none"',
}
# In this order: True is an integer, too.
_OF_DEFAULTS: dict[type, Hint] = {
    bool: bool,
    int: float | KerasObject,
    float: float | KerasObject,
    str: str | float | bool | KerasObject,
    list: list,
    tuple: list,
}


def hint_of(parameter: Parameter) -> Hint:
    """What an argument takes: its annotation; without one, values like its default.

    Keras annotates nothing. Numbers there may be schedules, and words often stand beside numbers,
    as in `verbose="auto"`.
    """
    if parameter.annotation is not Parameter.empty:
        annotation = parameter.annotation
        return Union[annotation, None] if parameter.default is None else annotation  # noqa: UP007
    hints = (hint for kind, hint in _OF_DEFAULTS.items() if isinstance(parameter.default, kind))
    return next(hints, Any)


def or_none(value: Any) -> Any:
    """None for the word "none"; everything else stays.

    Example:
        >>> or_none("none") is None, or_none("mean")
        (True, 'mean')
    """
    return None if value == _NONE else value


def takes(hint: Hint, value: Any) -> bool:
    """Whether a value of a study file, None for the word "none", fits an annotation.

    Example:
        >>> takes(int | list[int], [64, 32]), takes(int, 0.5), takes(float | None, 1)
        (True, False, True)
    """
    origin = get_origin(hint) or hint
    if origin in (Union, UnionType):
        return any(takes(each, value) for each in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in get_args(hint))
    if origin in (bool, int, str, NoneType):
        return type(value) is origin  # True is no integer here
    if origin is PositiveInteger:
        return type(value) is int and value >= 1
    if origin is float:
        return type(value) in (int, float)
    if not inspect.isclass(origin) or origin is object:
        return True
    return _takes_object(origin, get_args(hint), value)


def lists_in(hint: Hint) -> bool:
    """Whether a list is one value of the argument."""
    if get_origin(hint) in (Union, UnionType):
        return any(map(lists_in, get_args(hint)))
    return _is_list(get_origin(hint) or hint)


def described(hint: Hint) -> str:
    """What the argument takes, in words.

    Example:
        >>> described(int | list[int] | None)
        'an integer, a list or the word "none"'
    """
    words = list(dict.fromkeys(_words(each) for each in _alternatives(hint)))
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def _takes_object(origin: type, inner: tuple[Hint, ...], value: Any) -> bool:
    if _is_list(origin):
        if issubclass(origin, tuple) and inner and inner[-1] is not Ellipsis:
            return isinstance(value, list) and _takes_each(inner, value)
        item = inner[0] if inner else Any
        return isinstance(value, list) and all(takes(item, each) for each in value)
    if issubclass(origin, Mapping):
        item = inner[1] if len(inner) == 2 else Any
        return isinstance(value, Mapping) and all(takes(item, each) for each in value.values())
    if issubclass(origin, KerasObject | keras.layers.Layer):
        return isinstance(value, Mapping) and "class_name" in value
    return isinstance(value, str) if issubclass(origin, os.PathLike) else True


def _takes_each(hints: tuple[Hint, ...], values: list[Any]) -> bool:
    """Whether there is a value for each hint, in their order, that fits it."""
    return len(hints) == len(values) and all(map(takes, hints, values))


def _is_list(origin: Hint) -> bool:
    listed = inspect.isclass(origin) and issubclass(origin, Iterable)
    return listed and not issubclass(origin, str | bytes | Mapping | keras.layers.Layer)


def _alternatives(hint: Hint) -> Iterable[Hint]:
    if get_origin(hint) in (Union, UnionType):
        for each in get_args(hint):
            yield from _alternatives(each)
    else:
        yield hint


def _words(hint: Hint) -> str:
    origin = get_origin(hint) or hint
    if origin is Literal:
        return " or ".join(map(json.dumps, get_args(hint)))
    if origin in _WORDS:
        return _WORDS[origin]
    if _is_list(origin):
        return "a list"
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return "a table"
    layer = inspect.isclass(origin) and issubclass(origin, keras.layers.Layer)
    return _WORDS[KerasObject if layer else str]
