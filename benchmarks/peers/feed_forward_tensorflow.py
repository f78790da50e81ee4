"""Training steps of one layer in TensorFlow, with XLA or without."""

from typing import Any

import keras
import tensorflow as tf

from benchmarks.peers.feed_forward import loss


class TensorFlowSteps:
    """A layer, its optimizer and its tokens; the gradient of the tokens is computed, too."""

    def __init__(
        self, layer: keras.Model, optimizer: keras.Optimizer, tokens: Any, jit_compile: bool
    ) -> None:
        self._layer, self._optimizer = layer, optimizer
        self._tokens = tf.Variable(tokens)
        self._step = tf.function(self._train, jit_compile=jit_compile)

    def run(self, count: int) -> None:
        """Takes so many steps."""
        self._loop(tf.constant(count))[0, 0].numpy()  # waits for a GPU

    def memory(self) -> int:
        """By the count of TensorFlow's allocator, at the peak of a step."""
        device = "GPU:0" if tf.config.list_physical_devices("GPU") else "CPU:0"
        stats = tf.config.experimental
        self.run(1)  # what the first one makes, it keeps
        stats.reset_memory_stats(device)
        before = stats.get_memory_info(device)["current"]
        self.run(1)
        return stats.get_memory_info(device)["peak"] - before

    @tf.function
    def _loop(self, count: tf.Tensor) -> tf.Tensor:
        of_tokens = tf.zeros_like(self._tokens)
        for _ in tf.range(count):
            of_tokens = self._step()
        return of_tokens

    def _train(self) -> tf.Tensor:
        """One step: the gradient of the tokens, returned so that it is not optimised away."""
        layer = self._layer
        # Values and not variables, so that no gradient comes as sparse rows.
        trainable = [tf.convert_to_tensor(v.value) for v in layer.trainable_variables]
        others = [tf.convert_to_tensor(v.value) for v in layer.non_trainable_variables]
        tokens = tf.convert_to_tensor(self._tokens)
        with tf.GradientTape() as tape:
            tape.watch([tokens, *trainable])
            value, others = loss(layer, trainable, others, tokens)
        of_tokens, *gradients = tape.gradient(value, [tokens, *trainable])
        self._optimizer.apply(gradients, layer.trainable_variables)
        for variable, new in zip(layer.non_trainable_variables, others, strict=True):
            variable.assign(new)
        return of_tokens
