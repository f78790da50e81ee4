"""Rows of a weight; this file owns TensorFlow's way to read them without the rest of the weight."""

from typing import Any

import keras
from keras import ops


def gather_rows(weight: keras.Variable, ids: Any) -> Any:
    """The rows of `weight` (rows, D) that `ids` (...) name: (..., D), in the weight's dtype."""
    if keras.backend.backend() != "tensorflow":
        return ops.take(weight, ids, axis=0)
    import tensorflow as tf

    # `ops.take` reads the whole variable, and each update in place then has to copy it first.
    return tf.gather(weight.value, ids)  # (..., D)
