"""The limit: the model's matrix products alone, forward and backward, in TensorFlow with XLA.

No embeddings, activations, gating, loss, optimizer, metrics or data: no training step of this model
can take less.
"""

from itertools import pairwise

import tensorflow as tf

from benchmarks.workload import Contender, Workload


class MatrixProducts:
    """Weights, and one batch that is used again and again."""

    def __init__(self, work: Workload) -> None:
        sizes = work.sizes
        tasks, experts = len(work.labels), sizes.num_experts
        width = sizes.embedding_dim * work.categorical.shape[1] + work.numeric.shape[1]
        first, *deeper = sizes.expert_units
        self._batch_size = sizes.batch_size
        self._x = tf.Variable(tf.random.normal((sizes.batch_size, width)))
        self._shared = tf.Variable(tf.random.normal((width, experts * first + tasks * experts)))
        self._experts = stacked(experts, (first, *deeper))
        self._towers = stacked(tasks, (sizes.expert_units[-1], *sizes.tower_units, 1))
        weights = [self._shared, *self._experts, *self._towers]
        self.parameters = sum(int(tf.size(weight)) for weight in weights)

    def train(self, rows: int) -> None:
        """As many steps as the rows have batches."""
        self._steps(tf.constant(-(-rows // self._batch_size)))

    @tf.function
    def _steps(self, steps: tf.Tensor) -> list[tf.Tensor]:
        gradients = self._gradients()
        for _ in tf.range(steps - 1):
            gradients = self._gradients()
        return gradients

    @tf.function(jit_compile=True)
    def _gradients(self) -> list[tf.Tensor]:
        """Gradients of all weights and of the input, returned so that none is optimised away."""
        tasks, depth, _ = self._towers[0].shape
        experts, width, _ = self._experts[0].shape
        with tf.GradientTape() as tape:
            y = tf.matmul(self._x, self._shared)  # (B, E * U + T * E)
            x = tf.reshape(y[:, : experts * width], (-1, experts, width))  # (B, E, U)
            x = tf.transpose(x, (1, 0, 2))  # (E, B, U)
            for kernel in self._experts:
                x = tf.matmul(x, kernel)  # (E, B, U)
            x = x[:tasks, :, :depth]  # (T, B, U)
            for kernel in self._towers:
                x = tf.matmul(x, kernel)  # (T, B, U)
        seeds = [tf.ones_like(x), tf.ones_like(y)]
        return tape.gradient([x, y], [self._x, self._shared, *self._experts, *self._towers], seeds)


def stacked(count: int, widths: tuple[int, ...]) -> list[tf.Variable]:
    """Kernels (count, D, U) from each width to the next."""
    return [
        tf.Variable(tf.random.normal((count, inputs, outputs)))
        for inputs, outputs in pairwise(widths)
    ]


def make(work: Workload) -> Contender:
    """The products, ready to run."""
    return MatrixProducts(work)
