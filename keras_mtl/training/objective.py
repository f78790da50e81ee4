"""The loss of a step: what every task costs, over the labelled entries of the global batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_mtl.task import Task
from keras_mtl.training.groups import Entries, TaskGroup
from keras_mtl.training.joint import Joint
from keras_mtl.training.label_doubts import doubts_of
from keras_mtl.training.labels import sum_by_task


@dataclass(frozen=True)
class TaskSums:
    """Sums over one replica's batch, each (T,) in the order of the model's tasks."""

    losses: Any  # weighted entry losses
    counts: Any  # labelled entries
    invalid: Any  # labels that the task does not allow
    invalid_values: Any  # and the sum of their values
    doubts: Any | None  # (3, T), see `doubts_of`; None where no label can be doubtful


class Objective:
    """Every task's loss sum and entry count, group by group.

    Args:
        tasks: The model's tasks.
        groups: The same tasks, grouped.
    """

    def __init__(self, tasks: Sequence[Task], groups: Sequence[TaskGroup]) -> None:
        self._groups = list(groups)
        self._joints = {
            group.task.name: Joint(group, groups)
            for group in groups
            if group.task.trained_on == "all"
        }
        grouped = [name for group in groups for name in group.names]
        self._order = [grouped.index(task.name) for task in tasks]

    def __call__(
        self,
        outputs: Mapping[str, Any],
        y: Mapping[str, Any],
        sample_weight: Any,
        class_weight: Mapping[str, Any],
    ) -> TaskSums:
        """Sums of a batch, from the training graph's outputs."""
        entries = [group.entries(outputs, y, sample_weight) for group in self._groups]
        sums = [
            self._sums(group, of_group, outputs, y, sample_weight, class_weight)
            for group, of_group in zip(self._groups, entries, strict=True)
        ]
        losses, counts, invalid, invalid_values = (
            self._in_order(ops.concatenate(part)) for part in zip(*sums, strict=True)
        )
        doubts = [doubts_of(g, e.labels, y) for g, e in zip(self._groups, entries, strict=True)]
        return TaskSums(losses, counts, invalid, invalid_values, self._joined(doubts))

    def _in_order(self, by_group: Any) -> Any:
        """(..., T) in the order of the model's tasks, from that of the groups."""
        if self._order == list(range(len(self._order))):
            return by_group
        return ops.take(by_group, self._order, axis=-1)

    def _joined(self, doubts: Sequence[Any]) -> Any | None:
        if all(of_group is None for of_group in doubts):
            return None
        full = [
            ops.zeros((3, len(group.tasks))) if of_group is None else of_group
            for group, of_group in zip(self._groups, doubts, strict=True)
        ]
        return self._in_order(ops.concatenate(full, axis=-1))  # (3, T)

    def _sums(
        self,
        group: TaskGroup,
        entries: Entries,
        outputs: Mapping[str, Any],
        y: Mapping[str, Any],
        sample_weight: Any,
        class_weight: Mapping[str, Any],
    ) -> tuple[Any, Any, Any, Any]:
        if group.task.trained_on == "all":
            joint = self._joints[group.task.name].entries(outputs, y, sample_weight)
            losses, mask, weights = joint.losses(), joint.mask, joint.weights
            values = joint.labels
        else:
            losses, mask, weights = group.entry_losses(entries)
            values = entries.labels.values
        factors = group.class_factors(values, class_weight)
        if factors is not None:
            weights = weights * factors
        invalid = entries.labels.invalid
        return (
            sum_by_task(losses * weights),
            sum_by_task(mask),
            sum_by_task(invalid),
            sum_by_task(ops.where(invalid > 0, entries.labels.raw, 0.0)),
        )
