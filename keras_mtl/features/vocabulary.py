"""From a column's values to ids: a list of known values, or hash buckets."""

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from itertools import repeat
from typing import Any

import numpy as np

from keras_mtl.features.columns import VocabularyColumn
from keras_mtl.features.hashing import hash_values
from keras_mtl.features.values import MISSING_INTEGER, Kind, Value, to_bytes, to_text


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Known values, the most frequent first. id 0: missing, 1: unknown, 2 + position: known."""

    kind: Kind
    values: tuple[Value, ...]
    missing: tuple[Value, ...]

    reserved = 2
    unknown = 1  # the id of a value that is none of its own

    @property
    def size(self) -> int:
        """Number of ids."""
        return self.reserved + len(self.values)

    @cached_property
    def _ids(self) -> dict[Any, int]:
        ids: dict[Any, int] = {v: i for i, v in enumerate(self.values, start=self.reserved)}
        ids |= dict.fromkeys(self.missing, 0)
        if self.kind == "string":
            ids |= {to_bytes(value): i for value, i in ids.items()}
        return {None: 0, **ids}

    def ids(self, values: list[Any]) -> np.ndarray:
        """The ids, int32 (N,), of strings, bytes, integers and None."""
        return np.fromiter(map(self._ids.get, values, repeat(1)), np.int32, len(values))


@dataclasses.dataclass(frozen=True)
class HashBuckets:
    """id 0: missing, 1 + hash mod buckets: any other value."""

    kind: Kind
    buckets: int
    missing: tuple[Value, ...]

    reserved = 1
    unknown = 0  # the id of a value that is none of its own

    @property
    def size(self) -> int:
        """Number of ids."""
        return self.reserved + self.buckets

    def ids(self, values: list[Any]) -> np.ndarray:
        """The ids, int32 (N,), of strings, bytes, integers and None."""
        distinct = list(dict.fromkeys(values))
        plain = [to_text(value) if isinstance(value, bytes) else value for value in distinct]
        ids: dict[Any, int] = dict.fromkeys(distinct, 0)
        skipped = {None, *self.missing}
        hashed = [
            (raw, value) for raw, value in zip(distinct, plain, strict=True) if value not in skipped
        ]
        buckets = hash_values([value for _, value in hashed]) % np.uint64(self.buckets)
        ids |= zip((raw for raw, _ in hashed), (1 + buckets.astype(np.int32)).tolist(), strict=True)
        return np.fromiter(map(ids.__getitem__, values), np.int32, len(values))


@dataclasses.dataclass(frozen=True)
class VocabularySpec:
    """What the columns that share one vocabulary ask of it."""

    name: str
    values: tuple[Value, ...] | None
    hash_buckets: int | None
    min_count: int
    dim: int | None
    missing: tuple[Value, ...]

    @classmethod
    def of(cls, name: str, columns: list[VocabularyColumn]) -> "VocabularySpec":
        """The one specification on which `columns` agree; options left at their default follow."""
        given = [c.vocabulary if isinstance(c.vocabulary, tuple) else None for c in columns]
        spec = cls(
            name,
            values=_agreed(name, "vocabulary", given),
            hash_buckets=_agreed(name, "hash_buckets", [c.hash_buckets for c in columns]),
            min_count=_agreed(name, "min_count", [c.min_count for c in columns], default=1),
            dim=_agreed(name, "dim", [c.dim for c in columns]),
            missing=tuple(dict.fromkeys(marker for c in columns for marker in c.missing)),
        )
        if spec.values is not None and spec.hash_buckets is not None:
            raise ValueError(
                f"Columns that share vocabulary `{name}` must not both list and hash its values. "
                f"Received: {[c.name for c in columns]}"
            )
        return spec

    @property
    def learned(self) -> bool:
        """Whether the values come from the data."""
        return self.values is None and self.hash_buckets is None

    def vocabulary(self, kind: Kind, learned: Iterable[Value] | None) -> Vocabulary | HashBuckets:
        """The ids of a column of this kind; `learned` are the values, most frequent first."""
        if any(isinstance(marker, str) != (kind == "string") for marker in self.missing):
            raise TypeError(
                f"Argument `missing` of `{self.name}` must hold values of the column's own type, "
                f"{kind}. Received: missing={self.missing!r}"
            )
        always: Value = "" if kind == "string" else MISSING_INTEGER
        missing = tuple(dict.fromkeys((always, *self.missing)))
        if self.hash_buckets is not None:
            return HashBuckets(kind, self.hash_buckets, missing)
        values = self.values if self.values is not None else learned or ()
        return Vocabulary(kind, tuple(value for value in values if value not in missing), missing)


def _agreed(name: str, option: str, values: list[Any], default: Any = None) -> Any:
    distinct = list(dict.fromkeys(value for value in values if value != default))
    if len(distinct) > 1:
        raise ValueError(
            f"Columns that share vocabulary `{name}` must agree on `{option}`. "
            f"Received: {option}={distinct}"
        )
    return distinct[0] if distinct else default
