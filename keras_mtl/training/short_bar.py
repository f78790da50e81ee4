"""ShortBar: a progress bar that one can read when there are many tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_mtl.task import Task
from keras_mtl.training.figures import existing_mean, owner_of

MOST_TASKS = 8
"""Up to here every task's figures are shown."""


def short_bars(
    tasks: Sequence[Task], callbacks: Sequence[keras.callbacks.Callback], verbose: Any
) -> list[keras.callbacks.Callback]:
    """The bar of `fit` or `evaluate` where Keras' own would be too long to read.

    It is in its place: none where a bar is among the callbacks, or none is asked for.
    """
    has_bar = any(isinstance(each, keras.callbacks.ProgbarLogger) for each in callbacks)
    return [] if len(tasks) <= MOST_TASKS or has_bar or not verbose else [ShortBar(tasks)]


class ShortBar(keras.callbacks.ProgbarLogger):
    """Shows `loss`, a mean over tasks of each metric, `mean_METRIC`, and what is no task's.

    Means are over the tasks that have the metric and labels. Validation figures, after an epoch,
    are the same with `val_` before.

    Args:
        tasks: The model's tasks.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        super().__init__()
        self._names = sorted((task.name for task in tasks), key=len, reverse=True)
        self._places: dict[str, str | None] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Moves on, with the figures so far."""
        super().on_train_batch_end(batch, self._short(logs))

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Moves on, with the figures so far."""
        super().on_test_batch_end(batch, self._short(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Ends the line, with the epoch's figures."""
        super().on_epoch_end(epoch, self._short(logs))

    def on_test_end(self, logs: Any = None) -> None:
        """Ends the line, with the evaluation's figures."""
        super().on_test_end(self._short(logs))

    def _short(self, logs: Mapping[str, Any] | None) -> dict[str, Any]:
        """The figures to show, in the order of the logs."""
        shown: dict[str, list[float]] = {}
        for key, value in (logs or {}).items():
            place = self._place(key)
            if place is not None:
                shown.setdefault(place, []).append(float(value))
        return {place: existing_mean(values) for place, values in shown.items()}

    def _place(self, key: str) -> str | None:
        """Where a figure is shown; None for the losses of single tasks, of which `loss` is made."""
        if key not in self._places:
            self._places[key] = self._new_place(key)
        return self._places[key]

    def _new_place(self, key: str) -> str | None:
        part = "val_" if key.startswith("val_") else ""
        figure = key.removeprefix(part)
        owner = owner_of(figure, self._names)
        if owner is None:
            return key
        metric = figure.removeprefix(f"{owner}_")
        return None if metric == "loss" else f"{part}mean_{metric}"
