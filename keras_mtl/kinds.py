"""What a task's kind decides about its labels: the one rule for NumPy and for `keras.ops`."""

import math

import ml_dtypes
import numpy as np

from keras_mtl.task import Task

# Beyond it, a float is written rounded: 1e20 means what the labels' dtype makes of it.
_LARGEST_EXACT = 2**53


def missing_marker(task: Task, dtype: str) -> float | None:
    """The value that marks a missing label of `task`, NaN among them; None where none does.

    It is the task's own in the labels' dtype. Integers hold it or have no marker. Floats round a
    fraction; where they would make another number of it (whole numbers, 0 or infinity), NaN is the
    marker in its place, so that no number is taken for missing that is not `Task.missing`.

    Args:
        task: The task.
        dtype: Of its labels, such as `"int64"`.
    """
    marker = task.missing
    if marker == "auto":
        # An integer target may well be -1; a class never is.
        marker = math.nan if is_float(dtype) or task.kind == "regression" else -1
    if not isinstance(marker, int | float):
        return None
    return _in_floats(marker, dtype) if is_float(dtype) else _in_integers(marker, dtype)


def is_missing(task: Task, labels: np.ndarray) -> np.ndarray:
    """Which of `labels` are marked missing."""
    marker = missing_marker(task, labels.dtype.name)
    if marker is None:
        return np.zeros(labels.shape, bool)
    return np.isnan(labels) if math.isnan(marker) else labels == labels.dtype.type(marker)


def check_marker(task: Task, dtype: str) -> None:
    """Raises `ValueError` where floats of `dtype` would make another whole number of a marker."""
    marker = task.missing
    if not is_float(dtype) or not isinstance(marker, int | float) or not _is_exact(marker):
        return
    if math.isnan(_in_floats(marker, dtype)):
        raise ValueError(
            f"Labels of task {task.name!r} must have a dtype that holds its `missing`, as int64 "
            f"or float64 may. Received: dtype={dtype}, missing={marker!r}"
        )


def is_float(dtype: str) -> bool:
    """Whether `dtype` is one of floats, bfloat16 among them."""
    return "float" in dtype


def _in_floats(marker: float, dtype: str) -> float:
    if not math.isfinite(marker):
        return float(marker)
    limits = ml_dtypes.finfo(dtype)
    largest, smallest = float(limits.max), float(limits.smallest_normal)
    # The smallest numbers are 0 to processors that flush them.
    if abs(marker) > largest or 0 < abs(marker) < smallest:
        return math.nan
    rounded = float(np.dtype(dtype).type(marker))
    return math.nan if _is_exact(marker) and rounded != marker else rounded


def _is_exact(marker: float) -> bool:
    """Whether `marker` is a whole number to the last digit."""
    if isinstance(marker, int):
        return True
    return abs(marker) < _LARGEST_EXACT and marker.is_integer()


def _in_integers(marker: float, dtype: str) -> int | None:
    if not math.isfinite(marker) or marker != int(marker):
        return None
    least, most = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return int(marker) if least <= marker <= most else None
