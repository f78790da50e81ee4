"""The limit: a model's matrix products alone, forward and backward, in TensorFlow with XLA.

No embeddings, activations, gating, loss, optimizer, metrics or data: no training step of this model
can take less.
"""

import tensorflow as tf

from benchmarks.kernels import kernels
from benchmarks.workload import Contender, Workload


class MatrixProducts:
    """Weights, and one batch that is used again and again."""

    def __init__(self, work: Workload, model: str, dtype: str) -> None:
        shapes = kernels(work, model)
        self._batch_size = work.sizes.batch_size

        def variable(shape: tuple[int, ...]) -> tf.Variable:
            return tf.Variable(tf.cast(tf.random.normal(shape), dtype))

        self._x = variable((self._batch_size, work.width))
        self._shared = variable(shapes.shared)
        self._levels = [[variable(shape) for shape in level] for level in shapes.levels]
        self._gates = [variable(shape) for shape in shapes.gates]
        self._towers = [variable(shape) for shape in shapes.towers]
        experts = [kernel for level in self._levels for kernel in level]
        self._weights = [self._shared, *experts, *self._gates, *self._towers]
        self.parameters = sum(int(tf.size(weight)) for weight in self._weights)

    def train(self, rows: int) -> None:
        """As many steps as the rows have batches."""
        self._steps(tf.constant(-(-rows // self._batch_size)))[-1].numpy()  # waits for a GPU

    @tf.function
    def _steps(self, steps: tf.Tensor) -> list[tf.Tensor]:
        gradients = self._gradients()
        for _ in tf.range(steps - 1):
            gradients = self._gradients()
        return gradients

    @tf.function(jit_compile=True)
    def _gradients(self) -> list[tf.Tensor]:
        """Gradients of all weights and of the input, returned so that none is optimised away."""
        with tf.GradientTape() as tape:
            outputs = self._products()
        seeds = [tf.ones_like(output) for output in outputs]
        return tape.gradient(outputs, [self._x, *self._weights], seeds)

    def _products(self) -> list[tf.Tensor]:
        """Each product of the output of the one before it; what nothing reads is returned."""
        tasks, depth, _ = self._towers[0].shape
        experts, width, _ = self._levels[0][0].shape
        y = tf.matmul(self._x, self._shared)  # (B, E * U + gates)
        x = tf.reshape(y[:, : experts * width], (-1, experts, width))  # (B, E, U)
        x = tf.transpose(x, (1, 0, 2))  # (E, B, U)
        outputs = [y]
        for level, level_kernels in enumerate(self._levels):
            if level:
                outputs.append(tf.matmul(x[:1], self._gates[level - 1]))  # (1, B, gates)
            for kernel in level_kernels:
                x = tf.matmul(x, kernel)  # (E, B, U)
        repeats = -(-tasks // experts)  # there may be more towers than experts
        x = tf.tile(x, (repeats, 1, 1))[:tasks, :, :depth]  # (T, B, U)
        for kernel in self._towers:
            x = tf.matmul(x, kernel)  # (T, B, U)
        return [*outputs, x]


def make(work: Workload, model: str, precision: str = "float32") -> Contender:
    """The products, ready to run."""
    return MatrixProducts(work, model, precision)
