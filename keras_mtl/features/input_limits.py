"""What inputs may hold beyond what dtype and shape say: ids of embeddings, so many entries."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import keras
import numpy as np

# Keras exports no class of functional models alone.
from keras.src.models.functional import Functional

from keras_mtl.features.embedding import TabularEmbedding
from keras_mtl.layers.joined_sequences import JoinedSequences
from keras_mtl.layers.position_embedding import PositionEmbedding

SAME_LENGTH = (keras.layers.Embedding, JoinedSequences)


@dataclasses.dataclass(frozen=True)
class IdLimits:
    """Ids must lie in [0, size): one size for all, or one for each entry of the last axis."""

    input_name: str
    sizes: np.ndarray  # (C,)
    columns: tuple[str, ...] = ()  # names of a table's columns, one for each size

    def sentence(self, position: int) -> str:
        """What the ids of one column must be."""
        size = self.sizes[position]
        if not self.columns:
            return f"Input {self.input_name!r} must hold ids in [0, {size})."
        return (
            f"Column `{self.columns[position]}` in input {self.input_name!r} must hold ids in "
            f"[0, {size}), as `model.features.encode(...)` gives them."
        )

    def check(self, ids: np.ndarray) -> None:
        """Raises `ValueError` where an array has ids out of range."""
        columns = ids.reshape(-1, len(self.sizes))  # (N, C)
        low, high = columns.min(axis=0), columns.max(axis=0)
        inside = (low >= 0) & (high < self.sizes)
        if not inside.all():
            first = int(np.argmin(inside))
            raise ValueError(
                f"{self.sentence(first)} Received: ids from {low[first]} to {high[first]}"
            )

    def assertion(self, ids: Any) -> Any:
        """The same in TensorFlow's graph; one for all columns, which costs less than one each."""
        import tensorflow as tf

        columns = tf.reshape(ids, [-1, len(self.sizes)])  # (N, C)
        wide = columns if ids.dtype.is_floating else tf.cast(columns, tf.int64)
        inside = (wide >= 0) & (wide < tf.cast(self.sizes, wide.dtype))
        received = ["Received: ids from", tf.reduce_min(ids), "to", tf.reduce_max(ids)]
        if len(self.sizes) == 1:
            return tf.debugging.Assert(tf.reduce_all(inside), [self.sentence(0), *received])
        fits = tf.reduce_all(inside, axis=0)  # (C,)
        sentence = (
            f"Columns {', '.join(dict.fromkeys(self.columns))} in input {self.input_name!r} must "
            "hold ids below the sizes of their own vocabularies, as `model.features.encode(...)` "
            "gives them. Received: of each column, whether it does:"
        )
        return tf.debugging.Assert(tf.reduce_all(fits), [sentence, fits, *received], summarize=1000)


def id_limits(tensor: keras.KerasTensor) -> IdLimits | None:
    """The limits of the ids that the model's input `tensor` holds; None where none reads it so."""
    found = [limits for reader in _readers(tensor) for limits in _limits_of_reader(*reader)]
    if not found:
        return None
    sizes = reduce(np.minimum, [limits.sizes for limits in found])
    return IdLimits(tensor.name, sizes, max((limits.columns for limits in found), key=len))


def tables_of(tensor: keras.KerasTensor) -> list[Any]:
    """The tables whose packed values the model's input `tensor` holds."""
    operations = (node.operation for node, _ in _readers(tensor))
    return [layer.table for layer in operations if isinstance(layer, TabularEmbedding)]


def _limits_of_reader(node: Any, tensor: keras.KerasTensor) -> Iterator[IdLimits]:
    layer = node.operation
    if isinstance(layer, keras.layers.Embedding):
        yield IdLimits(tensor.name, np.array([layer.input_dim]))
    if isinstance(layer, TabularEmbedding):
        for name, packed in _packed_inputs(node):
            columns = layer.table.encoding.id_sources(name)
            if packed is tensor and columns:
                names, sources = zip(*columns, strict=True)
                yield IdLimits(tensor.name, np.array([source.size for source in sources]), names)


def _packed_inputs(node: Any) -> Iterator[tuple[str, Any]]:
    for value in (*node.arguments.args, *node.arguments.kwargs.values()):
        if isinstance(value, Mapping):
            yield from value.items()


def longest_sequence(tensor: keras.KerasTensor) -> int | None:
    """Entries that a sequence may have, at most those of the table of positions that reads it."""
    lengths = [
        node.operation.max_length
        if isinstance(node.operation, PositionEmbedding)
        else longest_sequence(node.outputs[0])
        for node, _ in _readers(tensor)
        if isinstance(node.operation, (PositionEmbedding, *SAME_LENGTH))
    ]
    return min((length for length in lengths if length is not None), default=None)


def _readers(tensor: keras.KerasTensor) -> Iterator[tuple[Any, keras.KerasTensor]]:
    """Nodes that read `tensor`, each with what it reads: within a nested model, its own input."""
    for node in tensor._keras_history.operation._outbound_nodes:
        if not any(x is tensor for x in node.input_tensors):
            continue
        yield node, tensor
        if isinstance(node.operation, Functional):
            for inner in _inner_inputs(node, tensor):
                yield from _readers(inner)


def _inner_inputs(node: Any, tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    """The inputs of a nested model that are given `tensor`: by name in a dict, else by place."""
    arguments = (*node.arguments.args, *node.arguments.kwargs.values())
    outer, inner = arguments[0], node.operation.input
    if isinstance(outer, Mapping) and isinstance(inner, Mapping):
        return [inner[name] for name, x in outer.items() if x is tensor and name in inner]
    places = zip(keras.tree.flatten(outer), keras.tree.flatten(inner), strict=False)
    return [own for x, own in places if x is tensor]


def within_limits(
    tensors: Mapping[str, keras.KerasTensor], values: Mapping[str, Any]
) -> dict[str, Any]:
    """The values, which TensorFlow's graph refuses where they are out of their limits.

    Datasets and served requests bring such. XLA leaves assertions out, and other backends have
    none: there `TabularEmbedding` reads an id out of range as an unknown value; of Keras'
    `Embedding` a negative id is taken from the end, too great a one is the last (XLA) or NaN (JAX);
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

    limits, longest = id_limits(tensor), longest_sequence(tensor)
    if limits is not None:
        yield limits.assertion(value)
    # A known length the layer refuses; an axis that is missing Keras adds.
    whole = value.shape.rank == len(tensor.shape)
    if longest is not None and whole and value.shape[1] is None:
        length = tf.shape(value)[1]
        sentence = f"Input {tensor.name!r} must have at most `max_length` entries. Received:"
        data = [sentence, length, f"entries, max_length={longest}"]
        yield tf.debugging.Assert(length <= longest, data)
