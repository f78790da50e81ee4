"""What inputs may hold beyond what dtype and shape say: ids of an `Embedding`, so many entries."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl.layers.joined_sequences import JoinedSequences
from keras_mtl.layers.position_embedding import PositionEmbedding

SAME_LENGTH = (keras.layers.Embedding, JoinedSequences)


def vocabulary_size(tensor: keras.KerasTensor) -> int | None:
    """Number of ids that the model's input `tensor` may hold; None where none reads it as ids."""
    readers = (node.operation for node in _readers(tensor))
    sizes = [x.input_dim for x in readers if isinstance(x, keras.layers.Embedding)]
    return min(sizes, default=None)


def longest_sequence(tensor: keras.KerasTensor) -> int | None:
    """Entries that a sequence may have, at most those of the table of positions that reads it."""
    lengths = [
        node.operation.max_length
        if isinstance(node.operation, PositionEmbedding)
        else longest_sequence(node.outputs[0])
        for node in _readers(tensor)
        if isinstance(node.operation, (PositionEmbedding, *SAME_LENGTH))
    ]
    return min((length for length in lengths if length is not None), default=None)


def _readers(tensor: keras.KerasTensor) -> Iterator[Any]:
    for node in tensor._keras_history.operation._outbound_nodes:
        if any(x is tensor for x in node.input_tensors):
            yield node


def within_limits(
    tensors: Mapping[str, keras.KerasTensor], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The values, which TensorFlow's graph refuses where they are out of their limits.

    Datasets and served requests bring such. XLA leaves assertions out, and other backends have
    none: there a negative id is taken from the end, too great a one is the last (XLA) or NaN (JAX),
    and what is too long has no shape that fits.

    Args:
        tensors: the model's inputs by name.
        values: what they are given, by the same names.
    """
    if keras.backend.backend() != "tensorflow":
        return dict(values)
    import tensorflow as tf

    checked = dict(values)
    for name, tensor in tensors.items():
        value = values.get(name)
        if isinstance(value, np.ndarray):
            value = tf.convert_to_tensor(value)
        if tf.is_tensor(value) and (assertions := list(_assertions(tensor, value))):
            with tf.control_dependencies(assertions):
                checked[name] = tf.identity(value)
    return checked


def _assertions(tensor: keras.KerasTensor, value: Any) -> Iterator[Any]:
    import tensorflow as tf

    size, longest = vocabulary_size(tensor), longest_sequence(tensor)
    if size is not None:
        wide = value if value.dtype.is_floating else tf.cast(value, tf.int64)
        fits = tf.reduce_all((wide >= 0) & (wide < tf.cast(size, wide.dtype)))
        sentence = f"Input {tensor.name!r} must hold ids in [0, {size}). Received: ids from"
        data = [sentence, tf.reduce_min(value), "to", tf.reduce_max(value)]
        yield tf.debugging.Assert(fits, data)
    # A known length the layer refuses; an axis that is missing Keras adds.
    whole = value.shape.rank == len(tensor.shape)
    if longest is not None and whole and value.shape[1] is None:
        length = tf.shape(value)[1]
        sentence = f"Input {tensor.name!r} must have at most `max_length` entries. Received:"
        data = [sentence, length, f"entries, max_length={longest}"]
        yield tf.debugging.Assert(length <= longest, data)
