"""What sparse layers tell of their routing to the step of training or evaluation they run in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RoutingRecord:
    """One call of a sparse layer.

    Attributes:
        layer: the layer.
        load: choices of each expert before any was dropped, (E,).
        dropped: number of choices that no expert had room for, ().
        entropy: sum over tokens of the router's entropy in nats, ().
        tokens: number of tokens that were routed, ().
        losses: sums over groups of the losses, unweighted, by name.
        groups: number of groups.
    """

    layer: Any
    load: Any
    dropped: Any
    entropy: Any
    tokens: Any
    losses: Mapping[str, Any]
    groups: int


# A context variable, since every replica traces in a thread of its own.
_records: ContextVar[list[RoutingRecord] | None] = ContextVar("records", default=None)


def is_recorded() -> bool:
    """Whether somebody wants records."""
    return _records.get() is not None


def record(entry: RoutingRecord) -> None:
    """Hands a record to the step under way, if there is one."""
    records = _records.get()
    if records is not None:
        records.append(entry)


@contextmanager
def recorded_routing() -> Iterator[None]:
    """Collects the records of sparse layers called in this context."""
    token = _records.set([])
    try:
        yield
    finally:
        _records.reset(token)


def take_records() -> list[RoutingRecord]:
    """The records since the last call of this function."""
    records = _records.get()
    if records is None:
        return []
    taken = list(records)
    records.clear()
    return taken
