"""Labels in the 32 bits that a step has: missing exactly where they were in their own dtype."""

import math

import keras
import numpy as np

from keras_mtl.kinds import is_float, is_missing, missing_marker
from keras_mtl.task import Task

_SMALLEST = float(np.finfo("float32").smallest_normal)


def narrow_labels(task: Task, labels: np.ndarray) -> np.ndarray:
    """`labels` as float32 where Keras, or JAX, would make such of them or cut off their bits.

    A known label that float32 rounds to the marker becomes the number beside it.
    """
    floats = is_float(labels.dtype.name)
    if not floats and _fits(labels):
        return labels
    if floats and not isinstance(task.missing, int | float):
        return labels  # NaN is NaN in all floats
    with np.errstate(over="ignore"):
        narrow = labels.astype("float32")
    marker = missing_marker(task, "float32")
    if marker is None:
        return narrow
    missing = is_missing(task, labels)
    narrow[missing] = marker
    # as processors read it, which flush the smallest numbers
    seen = np.where(np.abs(narrow) < _SMALLEST, 0.0, narrow)
    taken = ~missing & (seen == marker)
    if taken.any():
        below, above = _neighbours(marker)
        narrow[taken] = np.where(labels[taken] > task.missing, above, below)
    return narrow


def narrows() -> bool:
    """Whether the backend makes 32 bits of arrays of 64."""
    return keras.backend.backend() == "jax"


def _fits(integers: np.ndarray) -> bool:
    if not narrows() or integers.dtype.itemsize < 8 or not integers.size:
        return True
    limits = np.iinfo("uint32" if integers.dtype.kind == "u" else "int32")
    return bool(limits.min <= integers.min() and integers.max() <= limits.max)


def _neighbours(marker: float) -> tuple[float, float]:
    """The float32 numbers beside `marker`."""
    if marker == 0:
        return -_SMALLEST, _SMALLEST
    number = np.float32(marker)
    below, above = (np.nextafter(number, np.float32(way)) for way in (-math.inf, math.inf))
    return float(below), float(above)
