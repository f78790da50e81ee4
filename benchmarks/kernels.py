"""Shapes of a model's matrix products, from which the limit and all FLOPs are computed."""

import math
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.workload import Sizes, Workload

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Kernels:
    """Shapes of the kernels of an MMoE or a PLE, stacked as one batched product each.

    Attributes:
        shared: (D, U), what reads the row: first layers of experts and the gates, side by side.
        levels: experts (E, D, U) of each level; the first layer of the first level is in `shared`.
        gates: gates (T, D, U) of each level but the first.
        towers: towers and logits (T, D, U).
    """

    shared: Shape
    levels: tuple[tuple[Shape, ...], ...]
    gates: tuple[Shape, ...]
    towers: tuple[Shape, ...]

    @property
    def all(self) -> list[Shape]:
        """Every shape."""
        experts = [shape for level in self.levels for shape in level]
        return [self.shared, *experts, *self.gates, *self.towers]

    @property
    def flops(self) -> int:
        """Operations of a row: a product and a sum of every weight, forward and twice backward."""
        return 6 * sum(math.prod(shape) for shape in self.all)


def kernels(work: Workload, model: str) -> Kernels:
    """The kernels of `model`, "mmoe" or "ple", on this workload."""
    sizes, tasks = work.sizes, len(work.labels)
    experts, levels = sizes.num_experts, 1
    gates = tasks * experts
    if model == "ple":
        experts, levels = sizes.shared_experts + tasks * sizes.task_experts, sizes.levels
        gates = own_gates(sizes, tasks) + (experts if levels > 1 else 0)
    first, last = sizes.expert_units[0], sizes.expert_units[-1]
    deeper = [(last, *sizes.expert_units)] * (levels - 1)
    return Kernels(
        shared=(work.width, experts * first + gates),
        levels=tuple(stacked(experts, widths) for widths in (sizes.expert_units, *deeper)),
        # The shared gate of a level in the middle is one more row of the stack.
        gates=tuple(
            (1, last, own_gates(sizes, tasks) + (experts if level < levels - 1 else 0))
            for level in range(1, levels)
        ),
        towers=stacked(tasks, (last, *sizes.tower_units, 1)),
    )


def own_gates(sizes: Sizes, tasks: int) -> int:
    """Weights that the gates of all tasks of a PLE's level give together to one row."""
    return tasks * (sizes.shared_experts + sizes.task_experts)


def stacked(count: int, widths: tuple[int, ...]) -> tuple[Shape, ...]:
    """Kernels (count, D, U) from each width to the next."""
    return tuple((count, inputs, outputs) for inputs, outputs in pairwise(widths))
