"""Weights in the layouts that a server reads."""

from typing import Any

from keras_mtl.layers.layouts import Layout


class StoredLayouts:
    """A variable for each layout of a weight, to be read, and stored, in place of the weight."""

    def __init__(self) -> None:
        self._variables: dict[tuple[int, Layout], Any] = {}

    def __call__(self, weight: Any, layout: Layout) -> Any:
        """`layout(weight)`, read from its variable."""
        import tensorflow as tf

        key = (id(weight), layout)
        if key not in self._variables:
            with tf.init_scope():  # outside the graph that is being traced
                self._variables[key] = tf.Variable(layout(weight), trainable=False)
        return tf.convert_to_tensor(self._variables[key])
