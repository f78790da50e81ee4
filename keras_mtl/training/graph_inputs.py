"""Inputs on their way into the model's graph, by array or by dataset."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl.features.input_limits import within_limits


def inputs_within_limits(expected: Any, inputs: Any) -> Any:
    """The inputs, with TensorFlow's refusal of what datasets bring and no embedding has.

    Args:
        expected: The model's own inputs: a `KerasTensor`, a dict or a list of them.
        inputs: Tensors in that structure, or by name.
    """
    tensors = {tensor.name: tensor for tensor in keras.tree.flatten(expected)}
    if isinstance(inputs, Mapping):
        return within_limits(expected if isinstance(expected, Mapping) else tensors, inputs)
    flat = keras.tree.flatten(inputs)
    if len(flat) != len(tensors):  # Keras says so
        return inputs
    checked = within_limits(tensors, dict(zip(tensors, flat, strict=True)))
    return keras.tree.pack_sequence_as(inputs, list(checked.values()))
