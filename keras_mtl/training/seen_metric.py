"""SeenMetric: a user's metric of one task tells nothing before it has seen an entry."""

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_mtl.training.groups import Entries, TaskGroup

if TYPE_CHECKING:
    from keras_mtl.training.task_metrics import TaskMetric


class SeenMetric:
    """A metric of one task; NaN, not the value that it starts with, while no entry has any weight.

    Args:
        inner: The metric, and what feeds it.
    """

    def __init__(self, inner: "TaskMetric") -> None:
        self.tasks = inner.tasks
        self.metric = inner.metric
        self.count = keras.metrics.Sum(name="entries")
        self._inner = inner

    def update(self, group: TaskGroup, entries: Entries) -> None:
        """Adds one batch."""
        self.count.update_state(ops.cast(entries.weights != 0, "float32"))
        self._inner.update(group, entries)

    def results(self) -> dict[str, Any]:
        """The metric's value, under the task's name."""
        return keras.tree.map_structure(self._shown, self._inner.results())

    def _shown(self, value: Any) -> Any:
        return ops.where(self.count.result() > 0, ops.cast(value, "float32"), np.nan)
