"""Rows of a weight; this file owns TensorFlow's way to read them without the rest of the weight."""

from typing import Any

import keras
from keras import ops


def gather_rows(weight: keras.Variable, ids: Any) -> Any:
    """The rows of `weight` (rows, D) that `ids` (...) name: (..., D), in the weight's dtype."""
    if keras.backend.backend() != "tensorflow":
        return ops.take(weight, ids, axis=0)
    import tensorflow as tf

    # `ops.take` reads the whole variable: a copy per step where an optimizer updates single rows.
    # An optimizer that updates all rows, as Keras' Adam does, copies after a gather instead.
    return tf.gather(weight.value, ids)  # (..., D)
