"""What a task's kind decides about its labels: the one rule for NumPy and for `keras.ops`."""

import math

import numpy as np

from keras_mtl.task import Task


def missing_marker(task: Task, is_float: bool) -> float | None:
    """The value that marks a missing label of `task`, NaN among them; None where none does.

    Args:
        task: The task.
        is_float: Whether its labels are floats.
    """
    if task.missing != "auto":
        return task.missing  # type: ignore[return-value]
    # An integer target may well be -1; a class never is.
    return math.nan if is_float or task.kind == "regression" else -1.0


def is_missing(task: Task, labels: np.ndarray) -> np.ndarray:
    """Which of `labels` are marked missing."""
    marker = missing_marker(task, labels.dtype.kind not in "iub")
    if marker is None:
        return np.zeros(labels.shape, bool)
    return np.isnan(labels) if math.isnan(marker) else labels == marker
