"""The floor of many experts: their gradients are written, then read to update the weights."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from benchmarks.kernels import Shape, stacked
from benchmarks.workload import Contender, Workload

RATE = 0.01


class WeightUpdate:
    """Kernels of all experts, and gradients of their size that no product computes."""

    def __init__(self, work: Workload) -> None:
        shapes = stacked(work.sizes.num_experts, (work.width, *work.sizes.expert_units))
        self.parameters = sum(math.prod(shape) for shape in shapes)
        self._tokens = len(work)
        on_jax = keras.backend.backend() == "jax"
        self._run = jax_updates(shapes) if on_jax else tensorflow_updates(shapes)

    def train(self, rows: int) -> None:
        """As many updates as the rows have batches of all tokens."""
        self._run(-(-rows // self._tokens))


def tensorflow_updates(shapes: Sequence[Shape]) -> Callable[[int], None]:
    """What makes so many updates, in place."""
    import tensorflow as tf

    weights = [tf.Variable(tf.ones(shape)) for shape in shapes]

    @tf.function
    def updates(count: tf.Tensor) -> None:
        for step in tf.range(count):
            value = tf.cast(step, "float32")  # unknown beforehand, so that each step writes
            for weight in weights:
                gradient = tf.fill(weight.shape, value)
                tf.raw_ops.ResourceApplyGradientDescent(
                    var=weight.handle, alpha=RATE, delta=gradient
                )

    def run(count: int) -> None:
        updates(tf.constant(count))
        weights[-1][0, 0, 0].numpy()  # waits for a GPU

    return run


def jax_updates(shapes: Sequence[Shape]) -> Callable[[int], None]:
    """The same in two compiled calls an update, so that gradients are kept in between."""
    import jax
    import jax.numpy as jnp

    weights = [jnp.ones(shape) for shape in shapes]
    write = jax.jit(lambda value: [jnp.full(shape, value) for shape in shapes])

    def descend(weights: list[Any], gradients: list[Any]) -> list[Any]:
        return [w - RATE * g for w, g in zip(weights, gradients, strict=True)]

    update = jax.jit(descend, donate_argnums=0)

    def run(count: int) -> None:
        nonlocal weights
        for step in range(count):
            weights = update(weights, write(float(step)))
        jax.block_until_ready(weights)

    return run


def make(work: Workload, model: str, precision: str = "float32") -> Contender:
    """The kernels in float32, as mixed precision keeps them."""
    return WeightUpdate(work)
