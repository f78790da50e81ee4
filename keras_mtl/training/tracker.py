"""LossTracker: the logged losses, exact over the epoch."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.training.label_doubts import warn_of_doubts
from keras_mtl.training.objective import TaskSums

# Whether logs are those of a training step, not of an epoch or an evaluation.
_RUNNING: ContextVar[bool] = ContextVar("keras_mtl_running", default=False)


class LossTracker(keras.metrics.Metric):
    """Each task's loss over all labelled entries since the last reset, and their weighted sum.

    `loss = sum_t w_t (sum of entry losses / number of entries) + mean over steps of the
    regularisers`

    Sums, not means, are added up over batches and replicas, so neither batch size nor the number of
    replicas changes a figure. A task without labels has no loss: its own is NaN, and `loss` is over
    the others; NaN where no task has a label.
    """

    def __init__(self, names: Sequence[str], weights: Sequence[float]) -> None:
        super().__init__(name="loss")
        self._names = list(names)
        self._weights = list(weights)
        shape = (len(self._names),)
        self._losses = self.add_variable(shape, "zeros", name="losses")
        self._counts = self.add_variable(shape, "zeros", name="counts")
        self._invalid = self.add_variable(shape, "zeros", name="invalid")
        self._invalid_values = self.add_variable(shape, "zeros", name="invalid_values")
        self._doubts = self.add_variable((3, *shape), "zeros", name="doubts")
        self._additional = self.add_variable((), "zeros", name="additional")
        self._steps = self.add_variable((), "zeros", name="steps")

    def accumulate(self, sums: TaskSums, additional: Any) -> None:
        """Adds one replica's batch."""
        self._losses.assign_add(sums.losses)
        self._counts.assign_add(sums.counts)
        self._invalid.assign_add(sums.invalid)
        self._invalid_values.assign_add(sums.invalid_values)
        if sums.doubts is not None:
            self._doubts.assign_add(sums.doubts)
        self._additional.assign_add(additional)
        self._steps.assign_add(1.0)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the trainer's mean over batches would weight rows, labelled or not."""

    def result(self) -> dict[str, Any]:
        """`loss`, and `NAME_loss` of every task."""
        losses = mean_losses(self._losses, self._counts)  # (T,)
        additional = self._additional / ops.maximum(self._steps, 1.0)
        total = ops.sum(losses * ops.array(self._weights, dtype="float32")) + additional
        is_labelled = self._counts > 0
        if not _RUNNING.get():
            total = ops.where(ops.any(is_labelled), total, np.nan)
        losses = ops.where(is_labelled, losses, np.nan)
        return {"loss": total} | {f"{name}_loss": losses[t] for t, name in enumerate(self._names)}

    def result_names(self) -> list[str]:
        """The keys of `result`, without computing it."""
        return ["loss", *(f"{name}_loss" for name in self._names)]

    def check_labels(self) -> None:
        """Raises `ValueError` for labels since the last reset that their tasks forbid."""
        # Not by `ops.convert_to_numpy`, which NumPy 2 warns of where it copies a variable.
        counts, sums = np.asarray(self._invalid), np.asarray(self._invalid_values)
        if counts.any():
            self.reset_state()
        for name, count, value in zip(self._names, counts, sums, strict=True):
            if count > 0:
                raise ValueError(
                    f"Labels of task {name!r} must be what the task allows or marked missing. "
                    f"Received: {int(count)} labels outside, of mean value {value / count:g}; "
                    "they were left out of the loss"
                )

    def check_losses(self) -> None:
        """Warns of tasks whose loss since the last reset is NaN or infinite."""
        finite = np.isfinite(np.asarray(self._losses))
        lost = [name for name, is_finite in zip(self._names, finite, strict=True) if not is_finite]
        if lost:
            warnings.warn(
                f"The loss of {', '.join(lost)} is NaN or infinite, and so are weights that were "
                "trained on it. Inputs that are not finite do that, and too high a learning rate; "
                "`keras.callbacks.TerminateOnNaN` ends such a training.",
                stacklevel=2,
            )

    def warn_of_labels(self, told: set[tuple[str, str]]) -> None:
        """Warns of tasks without a label since the last reset, and of labels that are doubtful.

        Args:
            told: What has been said before and is not said again; what is said is added.
        """
        counts = dict(zip(self._names, np.asarray(self._counts), strict=True))
        unlabelled = {("no label", name) for name, count in counts.items() if count == 0}
        news = sorted(repr(name) for _, name in unlabelled - told)
        told |= unlabelled
        if news:
            numbers = ", ".join(f"{name} {count:.0f}" for name, count in counts.items())
            warnings.warn(
                f"No labels of task {', '.join(news)}: its loss and its metrics are logged as NaN, "
                f"and `loss` is over the other tasks. Labels by task: {numbers}.",
                stacklevel=2,
            )
        warn_of_doubts(self._names, np.asarray(self._doubts), told)


@contextmanager
def running_logs() -> Iterator[None]:
    """While a training step makes its logs: `loss` is 0, as the step's own, before any label came.

    `TerminateOnNaN` would end a training whose first batches have none.
    """
    token = _RUNNING.set(True)
    try:
        yield
    finally:
        _RUNNING.reset(token)


def mean_losses(sums: Any, counts: Any) -> Any:
    """Loss sums by their number of entries; no entry, no loss."""
    return ops.where(counts > 0, sums / ops.maximum(counts, 1.0), 0.0)
