"""The device's matrix rate: rows times one big square matrix, in Keras' backend."""

from typing import Any

import keras
from keras import ops

from benchmarks.workload import Contender, Workload

SIDE_ON_CPU, SIDE_ON_GPU = 1024, 8192


class MatrixRate:
    """A square matrix, and a block of as many rows that is multiplied with it again and again."""

    def __init__(self, dtype: str) -> None:
        on_gpu = any("gpu" in device.lower() for device in keras.distribution.list_devices())
        self._side = SIDE_ON_GPU if on_gpu else SIDE_ON_CPU
        shape = (self._side, self._side)
        self._rows = ops.cast(keras.random.normal(shape), dtype)
        self._square = ops.cast(keras.random.normal(shape), dtype)
        self._product = compiled(ops.matmul)
        self.parameters = self._side**2
        self.flops = 2 * self._side**2

    def train(self, rows: int) -> None:
        """Multiplies at least so many rows."""
        for _ in range(-(-rows // self._side)):
            y = self._product(self._rows, self._square)
        float(ops.cast(y[0, 0], "float32"))  # waits for the device


def compiled(function: Any) -> Any:
    """The function as one compiled call of the backend; on a CPU TensorFlow's own is faster."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function)


def make(work: Workload, model: str, precision: str = "float32") -> Contender:
    """The matrix, ready to be multiplied: the same for every model and workload."""
    return MatrixRate(precision)
