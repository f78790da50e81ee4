"""SeededAttention: Keras' multi-head attention, with kernels drawn as matrices of their own."""

import math
from typing import Any

import keras
from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.layers.initialization import derive_seed


@keras_mtl_export
class SeededAttention(keras.layers.MultiHeadAttention):
    """`keras.layers.MultiHeadAttention`, whose kernels `seed` draws as well.

    Keras copies one initializer for query, key and value, so that with a seed all three start
    equal, and reads a kernel (D, heads, width) as a convolution's, with too small a variance. Here
    each is drawn as one matrix by `GlorotUniform`, with a seed of its own.

    Keys have no bias: it would add the same to all scores of a query, which the softmax takes away
    again, so nothing could train it.
    """

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Builds Keras' layers and draws their kernels."""
        super().build(query_shape, value_shape, key_shape)
        for dense in (self.query_dense, self.key_dense, self.value_dense):
            self._draw(dense, fan_in=dense.kernel.shape[0])
        self._draw(self.output_dense, fan_in=self.num_heads * self.value_dim)
        if self.key_dense.bias is not None:
            self.key_dense._untrack_variable(self.key_dense.bias)
            self.key_dense.bias = None

    def _draw(self, dense: Any, fan_in: int) -> None:
        shape = tuple(dense.kernel.shape)
        initializer = keras.initializers.GlorotUniform(seed=derive_seed(self.seed, dense.name))
        matrix = initializer((fan_in, math.prod(shape) // fan_in))
        dense.kernel.assign(ops.reshape(matrix, shape))
