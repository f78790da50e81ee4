"""The values of a category: strings, which bytes stand for too, or integers."""

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np

# what a served integer says for None; arrays may say it too
MISSING_INTEGER = -(2**63)

Value: TypeAlias = str | int
Kind: TypeAlias = Literal["string", "integer"]


def check_values(name: str, values: Any) -> tuple[Value, ...]:
    """Returns distinct strings or distinct integers as a tuple; bytes are decoded."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes):
        raise ValueError(
            f"Argument `{name}` must be a list of strings or of integers. "
            f"Received: {name}={values!r}"
        )
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    checked = [to_text(value) if isinstance(value, bytes) else value for value in plain]
    strings = all(isinstance(value, str) for value in checked)
    integers = all(isinstance(v, int) and not isinstance(v, bool) and fits(v) for v in checked)
    if not (strings or integers) or len(set(checked)) < len(checked):
        raise ValueError(
            f"Argument `{name}` must hold distinct values, all strings or all integers of 64 bits. "
            f"Received: {name}={values!r}"
        )
    return tuple(checked)


def fits(value: int) -> bool:
    """Whether a served tensor of integers can hold `value`."""
    return -(2**63) <= value < 2**63


def to_text(value: bytes) -> str:
    """UTF-8, reversible also for bytes that are none."""
    return value.decode("utf-8", "surrogateescape")


def to_bytes(value: str) -> bytes:
    """The bytes that `to_text` read; any other half of a surrogate pair as three bytes."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
