"""Gates that see equally many experts form a group, whose kernels are one stack."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GateGroup:
    """Gates that each see n experts.

    Attributes:
        gates: their indices.
        experts: for each of them the experts that it sees, in ascending order.
    """

    gates: tuple[int, ...]
    experts: tuple[tuple[int, ...], ...]

    @property
    def width(self) -> int:
        """The number n."""
        return len(self.experts[0])

    def among(self, gates: Iterable[int]) -> "GateGroup":
        """The part of the group that is among `gates`, in their order; it may be empty."""
        sees = dict(zip(self.gates, self.experts, strict=True))
        part = tuple(gate for gate in gates if gate in sees)
        return GateGroup(part, tuple(sees[gate] for gate in part))

    def among_first(self, num_experts: int) -> "GateGroup":
        """The same gates, with what they see of the first so many experts."""
        seen = [tuple(e for e in experts if e < num_experts) for experts in self.experts]
        return GateGroup(self.gates, tuple(seen))


def groups_by_width(visible: Iterable[Iterable[int]]) -> tuple[GateGroup, ...]:
    """All groups, from the experts that each gate sees.

    >>> [group.gates for group in groups_by_width([(0, 3), (1,), (2, 3)])]
    [(0, 2), (1,)]
    """
    by_width: dict[int, list[int]] = {}
    rows = [tuple(sorted(set(experts))) for experts in visible]
    for gate, experts in enumerate(rows):
        by_width.setdefault(len(experts), []).append(gate)
    return tuple(
        GateGroup(tuple(gates), tuple(rows[gate] for gate in gates)) for gates in by_width.values()
    )


def gates_of(groups: Iterable[GateGroup]) -> tuple[int, ...]:
    """The gates in the order in which the groups hold them."""
    return tuple(gate for group in groups for gate in group.gates)


def places_in(whole: Sequence[int], part: Iterable[int]) -> tuple[int, ...]:
    """Where each of `part` stands in `whole`."""
    places = {item: place for place, item in enumerate(whole)}
    return tuple(places[item] for item in part)


def logit_places(
    groups: Iterable[GateGroup], gates: Sequence[int], experts: Sequence[int]
) -> np.ndarray:
    """The columns in which gates find their logits for experts, (G, E).

    The logits of the groups that have a choice stand side by side, a gate after a gate. Two columns
    follow: for an expert that a gate sees alone, and for those that it does not see.
    """
    shown = [group.among(gates) for group in groups]
    choices = [group for group in shown if group.gates and group.width > 1]
    pairs = [(gate, expert) for group in choices for gate, expert in _pairs(group)]
    columns = {pair: column for column, pair in enumerate(pairs)}
    alone, hidden = len(columns), len(columns) + 1
    places = np.full((len(gates), len(experts)), hidden)
    for group in shown:
        for gate, expert in _pairs(group):
            column = columns.get((gate, expert), alone)
            places[gates.index(gate), experts.index(expert)] = column
    return places


def _pairs(group: GateGroup) -> list[tuple[int, int]]:
    """Each gate with each expert that it sees."""
    return [
        (gate, expert)
        for gate, experts in zip(group.gates, group.experts, strict=True)
        for expert in experts
    ]
