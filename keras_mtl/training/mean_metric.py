"""MeanMetric: one figure of all tasks to choose an epoch by."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.task import Task
from keras_mtl.training.figures import by_task, mean_of_main

MEAN = "val_mean"


class MeanMetric(keras.callbacks.Callback):
    """Adds `val_mean` to the logs: the tasks' mean main validation metric, errors negated.

    It is over the tasks whose metric exists, and NaN where none does.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = tasks

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the mean to `logs`, where the callbacks that follow read it."""
        logs = {} if logs is None else logs
        valid = {key[len("val_") :]: v for key, v in logs.items() if key.startswith("val_")}
        valid.pop(MEAN[len("val_") :], None)
        if not valid:  # an epoch without validation
            return
        figures = by_task(valid, [task.name for task in self.tasks])
        logs[MEAN] = mean_of_main(self.tasks, figures)
