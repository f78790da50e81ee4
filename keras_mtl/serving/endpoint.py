"""Keras' endpoint `serve`: what `keras.layers.TFSMLayer` calls, on any inputs, by their names."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    import tensorflow as tf


def serve_endpoint(
    answer: Callable[[Any], Any], specs: "Mapping[str, tf.TensorSpec]", inputs: Any
) -> "tf.types.experimental.PolymorphicFunction":
    """A function of one argument, where a signature has one for each input.

    It takes a dict by name, whatever an input is called; of a model without a table, also what the
    model itself takes: one tensor, or a list of them.

    Args:
        answer: The concrete function of a signature, by which no graph is stored twice.
        specs: What that signature takes, by name.
        inputs: The model's own inputs, or None where the signature takes raw columns.
    """
    import tensorflow as tf

    def serve(given: Any) -> Any:
        if not isinstance(given, Mapping):
            given = dict(zip(specs, keras.tree.flatten(given), strict=True))
        return answer(dict(given))

    function = tf.function(serve, autograph=False)
    function.get_concrete_function(dict(specs))
    if inputs is not None and not isinstance(inputs, Mapping):
        own = keras.tree.pack_sequence_as(inputs, list(specs.values()))
        function.get_concrete_function(own)
    return function
