"""Checks of arguments; every message says what, what was expected, what came."""

import difflib
import inspect
from collections.abc import Callable, Hashable, Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np

_LARGEST = float(np.finfo("float32").max)
_LONGEST_SHOWN = 256  # bits

# What every loss or metric of Keras takes; not all of their configs hold it.
_INHERITED = ("dtype", "name", "reduction")


def check_positive(name: str, value: Any) -> int:
    """Returns `value` as an int; raises `ValueError` unless it is an integer of at least 1."""
    return check_integer(name, value, minimum=1)


def check_integer(name: str, value: Any, minimum: int) -> int:
    """Returns `value` as an int; `ValueError` unless it is an integer >= `minimum`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise ValueError(
            f"Argument `{name}` must be an integer of at least {minimum}. "
            f"Received: {name}={shown(value)}"
        )
    return int(value)


def check_units(name: str, value: Any, allow_empty: bool = False) -> tuple[int, ...]:
    """Returns layer widths as a tuple; an int stands for one layer."""
    widths = (value,) if isinstance(value, Integral) else value
    valid = isinstance(widths, Sequence) and not isinstance(widths, str)
    if valid:
        valid = all(
            isinstance(width, Integral) and not isinstance(width, bool) and int(width) >= 1
            for width in widths
        )
    if not valid or (not allow_empty and not len(widths)):
        least = "" if allow_empty else " and not empty"
        raise ValueError(
            f"Argument `{name}` must be a positive integer or a sequence of them{least}. "
            f"Received: {name}={value!r}"
        )
    return tuple(int(width) for width in widths)


def check_rate(name: str, value: Any) -> float:
    """Returns a dropout rate; raises `ValueError` unless it lies in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ValueError(f"Argument `{name}` must be in [0, 1). Received: {name}={value!r}")
    return float(value)


def check_number(name: str, value: Any) -> float:
    """Returns a number as a float; raises `ValueError` unless it is finite, in float32 as well."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not -_LARGEST <= value <= _LARGEST:
        raise ValueError(
            f"Argument `{name}` must be a finite number, at most {_LARGEST:.3g}, as float32 is. "
            f"Received: {name}={shown(value)}"
        )
    return float(value)


def shown(value: Any) -> str:
    """What `repr` gives; of an integer of more digits than one would read, their number."""
    if isinstance(value, int) and value.bit_length() > _LONGEST_SHOWN:
        sign = "negative" if value < 0 else "positive"
        return f"a {sign} integer of {value.bit_length()} bits"
    return repr(value)


def check_flag(name: str, value: Any) -> bool:
    """Returns True or False; raises `ValueError` for anything that merely counts as one."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"Argument `{name}` must be True or False. Received: {name}={value!r}")
    return bool(value)


def check_seed(value: Any) -> int | None:
    """Returns the argument `seed`; `ValueError` unless it is an integer or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"Argument `seed` must be an integer or None. Received: seed={value!r}")
    return int(value)


def check_identifier(name: str, get: Callable[[Any], Any], value: Any) -> Any:
    """What a `get` of Keras, as `keras.activations.get`, makes of `value`, or `ValueError`."""
    try:
        return get(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        kind = get.__module__.split(".")[-1]
        raise ValueError(
            f"Argument `{name}` must be what `keras.{kind}.get` takes. Received: {name}={value!r}"
        ) from error


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Returns `value`; `ValueError`, naming the nearest choice, unless it is one of `choices`."""
    options = list(choices)
    if isinstance(value, Hashable) and value in options:
        return value
    listed = ", ".join(repr(option) for option in options)
    raise ValueError(
        f"Argument `{name}` must be one of {listed}.{did_you_mean(value, options)} "
        f"Received: {name}={value!r}"
    )


def check_task_keys(name: str, keys: Iterable[str], tasks: Sequence[str]) -> None:
    """Raises `ValueError`, naming the nearest task, for a key that is the name of none."""
    for key in keys:
        if key not in tasks:
            raise ValueError(
                f"Argument `{name}` must be keyed by task.{did_you_mean(key, tasks)} "
                f"Received: {key!r}, tasks={list(tasks)}"
            )


def listed(value: Any) -> list[Any]:
    """`value` as a list: its items, or itself alone."""
    return list(value) if isinstance(value, list | tuple) else [value]


def did_you_mean(value: Any, known: Iterable[Any]) -> str:
    """` Did you mean 'x'?` for the known name nearest to `value`, or nothing."""
    nearest = difflib.get_close_matches(str(value), [str(name) for name in known], n=1)
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def is_of_keras(value: Any) -> bool:
    """Whether the object's class is one of Keras' own, not a user's, nor one derived from them."""
    return type(value).__module__.split(".")[0] == "keras"


def unsaved_arguments(value: Any) -> list[str]:
    """Arguments of the constructor that a file would leave out.

    What is made from the configuration takes their defaults. A loss or metric is not asked for what
    all of them take.
    """
    if is_of_keras(value):
        return []
    parameters = inspect.signature(type(value)).parameters.values()
    named = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    is_figure = isinstance(value, keras.losses.Loss | keras.metrics.Metric)
    held = {*value.get_config(), *wrapped_arguments(value), *(_INHERITED if is_figure else ())}
    return [name for name in named if name not in held]


def wrapped_arguments(value: Any) -> dict[str, Any]:
    """Arguments that Keras' losses and metrics hand to their function.

    Keras leaves `Huber`'s `delta` and `CosineSimilarity`'s `axis` out of their configs.
    """
    parameters = inspect.signature(type(value)).parameters
    held = getattr(value, "_fn_kwargs", {})
    return {name: argument for name, argument in held.items() if name in parameters}
