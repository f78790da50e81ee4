"""JointAUC: how well the product along a `given` chain ranks all rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_mtl.metrics.auc import AUC
from keras_mtl.training.groups import TaskGroup
from keras_mtl.training.joint import Joint


class JointAUC:
    """AUC of a task that is trained on all rows, of its product, where that is known.

    The task's own AUC is that of its conditional probability, over the rows where it exists.

    Args:
        task: Name of the task.
    """

    def __init__(self, task: str) -> None:
        self.tasks = [task]
        self.metric = AUC(from_logits=True, name="joint_auc")

    def update(
        self,
        groups: Sequence[TaskGroup],
        outputs: Mapping[str, Any],
        y: Mapping[str, Any],
        weights: Any,
    ) -> None:
        """Adds one batch, of a step's logits or of predictions, as `groups` read them."""
        group = next(group for group in groups if group.names == self.tasks)
        entries = Joint(group, groups).entries(outputs, y, weights)
        columns = (entries.labels, entries.logits(), entries.weights)
        self.metric.update_state(*(ops.reshape(column, (-1,)) for column in columns))

    def results(self) -> dict[str, Any]:
        """The area, under the task's name."""
        return dict.fromkeys(self.tasks, self.metric.result())
