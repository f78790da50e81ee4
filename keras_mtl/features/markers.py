"""Declared markers of missing values, and whether the data have them."""

import warnings
from collections.abc import Iterable
from typing import Any

from keras_mtl.features.values import Value, to_text


class Markers:
    """Markers that have not occurred yet, and values that differ from one in space or case alone.

    Args:
        declared: A column's `missing`.
    """

    def __init__(self, declared: Iterable[Value]) -> None:
        self.absent = set(declared)
        self.near: dict[Value, str] = {}

    def update(self, values: Iterable[Any]) -> None:
        """Looks for them among the distinct values of a chunk."""
        if not self.absent:
            return
        plain = {to_text(value) if isinstance(value, bytes) else value for value in values}
        self.absent -= plain
        folded = {_fold(marker): marker for marker in self.absent if isinstance(marker, str)}
        for value in plain if folded else ():
            if isinstance(value, str) and _fold(value) in folded:
                self.near.setdefault(folded[_fold(value)], value)

    def merge(self, other: "Markers") -> None:
        """Adds what `other` has seen."""
        self.absent &= other.absent
        self.near = other.near | self.near

    def warn(self, name: str) -> None:
        """Warns of markers of column `name` that never came: most likely they are misspelt."""
        for marker in sorted(self.absent, key=str):
            near = f", but {self.near[marker]!r} does" if marker in self.near else ""
            warnings.warn(
                f"Column `{name}`: no value is {marker!r}, which its `missing` declares{near}. "
                "Declare there what the data hold for a missing value.",
                stacklevel=5,  # the caller of `adapt`
            )


def _fold(text: str) -> str:
    return text.strip().casefold()
