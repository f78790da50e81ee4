"""Keras' endpoint `serve`: what `keras.layers.TFSMLayer` calls, on any inputs, by their names."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    import tensorflow as tf


def serve_endpoint(
    answer: Callable[[Any], Any],
    specs: "Mapping[str, tf.TensorSpec]",
    inputs: Any,
    in_float32: bool = False,
) -> "tf.types.experimental.PolymorphicFunction":
    """A function of one argument, where a signature has one for each input.

    It takes a dict by name, whatever an input is called; of a model without a table, also what the
    model itself takes: one tensor, or a list of them.

    `keras.layers.TFSMLayer` casts floats to its own dtype, which is float32 by default. Where
    float32 does not resolve a column, make the layer with `dtype="float64"`.

    Args:
        answer: The concrete function of a signature, by which no graph is stored twice.
        specs: What that signature takes, by name.
        inputs: The model's own inputs, or None where the signature takes raw columns.
        in_float32: Whether float64 inputs are taken in float32, too: it resolves them.
    """
    import tensorflow as tf

    def serve(given: Any) -> Any:
        if not isinstance(given, Mapping):
            given = dict(zip(specs, keras.tree.flatten(given), strict=True))
        return answer({name: tf.cast(given[name], spec.dtype) for name, spec in specs.items()})

    function = tf.function(serve, autograph=False)
    function.get_concrete_function(dict(specs))
    if in_float32:
        function.get_concrete_function(_narrow(specs))
    if inputs is not None and not isinstance(inputs, Mapping):
        own = keras.tree.pack_sequence_as(inputs, list(specs.values()))
        function.get_concrete_function(own)
    return function


def _narrow(specs: "Mapping[str, tf.TensorSpec]") -> "dict[str, tf.TensorSpec]":
    """The same inputs, with float32 for float64."""
    import tensorflow as tf

    return {
        name: tf.TensorSpec(spec.shape, "float32", spec.name) if spec.dtype == tf.float64 else spec
        for name, spec in specs.items()
    }
