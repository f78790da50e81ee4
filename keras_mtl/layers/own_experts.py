"""Mixtures of experts that one gate sees alone and of experts that all gates see.

Weights of all experts for all gates would be (..., G, E), which grows with the square of the tasks.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from keras import ops

from keras_mtl.layers.gate_groups import GateGroup, gates_of, places_in
from keras_mtl.layers.slots import take_slots
from keras_mtl.layers.task_dense import rows_of


def mix_apart(weights: Sequence[tuple[GateGroup, Any]], experts: Any, num_own: int) -> Any:
    """Mixtures of the experts (..., E, U) by all gates, (..., G, U).

    Args:
        weights: the groups of gates, with the weights of what each sees, (..., G, n).
        experts: the experts' outputs; those of the tasks first, then those that all gates see.
        num_own: how many experts belong to tasks.
    """
    apart = num_own < experts.shape[-2]
    own, shared = ops.split(experts, [num_own], axis=-2) if apart else (experts, None)
    mixtures = [
        _mix_all(group, weight, experts)
        if len(set(group.experts)) == 1
        else _mix_own(group.among_first(num_own), weight, own, shared)
        for group, weight in weights
    ]
    gates = gates_of([group for group, _ in weights])
    order = places_in(gates, range(len(gates)))
    return take_slots(ops.concatenate(mixtures, axis=-2), order, axis=-2)  # (..., G, U)


def _mix_all(group: GateGroup, weights: Any, experts: Any) -> Any:
    """Mixtures by gates that see the same experts."""
    return ops.matmul(
        ops.cast(weights, experts.dtype), take_slots(experts, group.experts[0], axis=-2)
    )


def _mix_own(own_group: GateGroup, weights: Any, own: Any, shared: Any) -> Any:
    """Mixtures by gates that see experts of their own, and perhaps the shared ones."""
    weights = ops.cast(weights, own.dtype)  # (..., G, n)
    size = (len(own_group.gates), own_group.width)
    x = take_slots(own, tuple(chain(*own_group.experts)), axis=-2)  # (..., G * M, U)
    x = ops.reshape(x, (*rows_of(x, 2), *size, x.shape[-1]))  # (..., G, M, U)
    if shared is None:
        return ops.sum(weights[..., None] * x, axis=-2)  # (..., G, U)
    for_own, for_shared = ops.split(weights, [own_group.width], axis=-1)
    mixtures = ops.sum(for_own[..., None] * x, axis=-2)  # (..., G, U)
    return mixtures + ops.matmul(for_shared, shared)  # (..., G, U)
