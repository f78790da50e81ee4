"""Joint: the product of probabilities along a `given` chain, over all rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from keras_mtl.losses.entries import joint_crossentropy, log_probability
from keras_mtl.training.groups import TaskGroup, weigh
from keras_mtl.training.spaces import joint_labels


@dataclass(frozen=True)
class JointEntries:
    """What a loss or a metric sees of a product in one batch, each (B, 1, 1) unless said."""

    labels: Any  # 1.0 where all tasks of the chain are 1
    mask: Any  # 1.0 where that is known
    weights: Any  # mask times sample weights
    logs: list[Any]  # log probability of each task of the chain

    def losses(self) -> Any:
        """Cross-entropy of the product."""
        return joint_crossentropy(self.labels, self.logs)

    def logits(self) -> Any:
        """`log p / (1 - p)` of the product p."""
        ones = ops.ones_like(self.labels)
        return joint_crossentropy(1.0 - ones, self.logs) - joint_crossentropy(ones, self.logs)


class Joint:
    """The product of a task that is trained on all rows, and of all that it is given.

    Args:
        group: The task, which is a group of its own.
        groups: All groups.
    """

    def __init__(self, group: TaskGroup, groups: Sequence[TaskGroup]) -> None:
        group_of = {name: each for each in groups for name in each.names}
        self.group = group
        self._chain = [*reversed(group.chains[0]), group.task]
        self._links = [
            (group_of[task.name], group_of[task.name].names.index(task.name))
            for task in self._chain
        ]

    def entries(
        self, outputs: Mapping[str, Any], y: Mapping[str, Any], sample_weight: Any
    ) -> JointEntries:
        """Labels, mask, weights and log probabilities of a batch."""
        labels, mask = (ops.expand_dims(x, -2) for x in joint_labels(self._chain, y))  # (B, 1, 1)
        shown = self.group.shown(outputs)
        if shown is not None:
            labels, mask = ops.where(shown > 0, labels, 0.0), mask * shown
        logs = [_log_probability(*link, outputs, mask) for link in self._links]
        weights = weigh(self.group.tasks, y, sample_weight, mask)
        return JointEntries(labels, mask, weights, logs)


def _log_probability(group: TaskGroup, index: int, outputs: Mapping[str, Any], mask: Any) -> Any:
    own = group.outputs(outputs)[..., index : index + 1, :]  # (B, 1, 1)
    return log_probability(group.where_known(own, mask > 0), group.is_logits)
