"""Ids that an `Embedding` reads: it takes a negative one for one from the end."""

from collections.abc import Mapping
from typing import Any

import keras


def vocabulary_size(tensor: keras.KerasTensor) -> int | None:
    """Number of ids that the model's input `tensor` may hold; None where none reads it as ids."""
    readers = (node.operation for node in tensor._keras_history.operation._outbound_nodes)
    sizes = [x.input_dim for x in readers if isinstance(x, keras.layers.Embedding)]
    return min(sizes, default=None)


def assert_ids(tensors: Mapping[str, keras.KerasTensor], values: Mapping[str, Any]) -> None:
    """Has TensorFlow's graph refuse other ids, of datasets and of served requests.

    XLA leaves assertions out, and other backends have none.

    Args:
        tensors: the model's inputs by name.
        values: what they are given, by the same names.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for name, tensor in tensors.items():
        size, ids = vocabulary_size(tensor), values.get(name)
        if size is None or ids is None or not tf.is_tensor(ids):
            continue
        fits = tf.reduce_all((ids >= 0) & (ids < tf.cast(size, ids.dtype)))
        sentence = f"Input {tensor.name!r} must hold ids in [0, {size}). Received: ids from"
        tf.debugging.Assert(fits, [sentence, tf.reduce_min(ids), "to", tf.reduce_max(ids)])
