"""The loss of a step: what every task costs, over the labelled entries of the global batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_mtl.losses.entries import joint_crossentropy, log_probability
from keras_mtl.task import Task
from keras_mtl.training.groups import TaskGroup, weigh
from keras_mtl.training.spaces import joint_labels


@dataclass(frozen=True)
class TaskSums:
    """Sums over one replica's batch, each (T,) in the order of the model's tasks."""

    losses: Any  # weighted entry losses
    counts: Any  # labelled entries
    invalid: Any  # labels that the task does not allow
    invalid_values: Any  # and the sum of their values


class Objective:
    """Every task's loss sum and entry count, group by group.

    Args:
        tasks: The model's tasks.
        groups: The same tasks, grouped.
    """

    def __init__(self, tasks: Sequence[Task], groups: Sequence[TaskGroup]) -> None:
        self._groups = list(groups)
        self._group_of = {name: group for group in groups for name in group.names}
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
        sums = [
            self._sums(group, outputs, y, sample_weight, class_weight) for group in self._groups
        ]
        joined = [ops.concatenate(part) for part in zip(*sums, strict=True)]
        if self._order != list(range(len(self._order))):
            joined = [ops.take(part, self._order) for part in joined]
        return TaskSums(*joined)

    def _sums(
        self,
        group: TaskGroup,
        outputs: Mapping[str, Any],
        y: Mapping[str, Any],
        sample_weight: Any,
        class_weight: Mapping[str, Any],
    ) -> tuple[Any, Any, Any, Any]:
        entries = group.entries(outputs, y, sample_weight)
        if group.task.trained_on == "all":
            losses, mask, weights, values = self._joint(group, outputs, y, sample_weight)
        else:
            losses, mask, weights = group.entry_losses(entries)
            values = entries.labels.values
        factors = group.class_factors(values, class_weight)
        if factors is not None:
            weights = weights * factors
        invalid = entries.labels.invalid
        return (
            _sum_by_task(losses * weights),
            _sum_by_task(mask),
            _sum_by_task(invalid),
            _sum_by_task(ops.where(invalid > 0, entries.labels.raw, 0.0)),
        )

    def _joint(
        self, group: TaskGroup, outputs: Mapping[str, Any], y: Mapping[str, Any], sample_weight: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Cross-entropy of the product of probabilities along the chain, where it is known."""
        chain = [*reversed(group.chains[0]), group.task]
        labels, mask = (ops.expand_dims(x, -2) for x in joint_labels(chain, y))  # (B, 1, 1)
        shown = group.shown(outputs)
        if shown is not None:
            labels, mask = ops.where(shown > 0, labels, 0.0), mask * shown
        logs = [self._log_probability(task, outputs, mask) for task in chain]
        weights = weigh(group.tasks, y, sample_weight, mask)
        return joint_crossentropy(labels, logs), mask, weights, labels

    def _log_probability(self, task: Task, outputs: Mapping[str, Any], mask: Any) -> Any:
        group = self._group_of[task.name]
        index = group.names.index(task.name)
        own = group.outputs(outputs)[..., index : index + 1, :]  # (B, 1, 1)
        return log_probability(group.where_known(own, mask > 0), group.is_logits)


def _sum_by_task(entries: Any) -> Any:
    axes = [axis for axis in range(len(entries.shape)) if axis != len(entries.shape) - 2]
    return ops.sum(entries, axis=axes)  # (T,)
