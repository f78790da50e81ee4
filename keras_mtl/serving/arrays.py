"""Values as users hold them -> arrays as a signature takes them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mtl.features.reading import check_kind, read_categories, read_numbers, read_sequences
from keras_mtl.features.values import MISSING_INTEGER, Kind, to_bytes

if TYPE_CHECKING:
    import tensorflow as tf


def as_array(name: str, values: Any, spec: "tf.TensorSpec") -> np.ndarray:
    """A raw column in the dtype and rank of `spec`, missing values as a client sends them.

    Missing are the empty string, the smallest integer and NaN; rows of lists are padded with them.
    """
    dtype = spec.dtype.as_numpy_dtype
    if spec.dtype.is_floating and spec.shape.rank == 1:
        return read_numbers(name, values).astype(dtype)
    if spec.dtype.is_floating or spec.shape.rank not in (1, 2):
        return np.asarray(values, dtype)
    kind: Kind = "string" if dtype is object else "integer"
    if spec.shape.rank == 1:
        found, read = read_categories(name, values)
        lengths = np.ones(len(read), int)
    else:
        found, read, lengths = read_sequences(name, values)
    check_kind(name, kind, found)
    missing = b"" if kind == "string" else MISSING_INTEGER
    width = max(lengths, default=0)
    array = np.full((len(lengths), width), missing, dtype)
    array[np.arange(width) < lengths[:, None]] = [_sent(value, missing) for value in read]
    return array[:, 0] if spec.shape.rank == 1 else array


def _sent(value: Any, missing: Any) -> Any:
    if isinstance(value, str):
        return to_bytes(value)
    return missing if value is None else value
