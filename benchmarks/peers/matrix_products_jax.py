"""The limit in JAX: a model's matrix products alone, forward and backward, in one compiled call."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.kernels import Kernels, kernels
from benchmarks.workload import Contender, Workload


class MatrixProducts:
    """Weights, and one batch that is used again and again."""

    def __init__(self, work: Workload, model: str, dtype: str) -> None:
        self._batch_size = work.sizes.batch_size
        shapes = kernels(work, model)
        keys = iter(jax.random.split(jax.random.key(work.sizes.seed), 1 + len(shapes.all)))
        self._x = jax.random.normal(next(keys), (self._batch_size, work.width), dtype)
        self._weights = [jax.random.normal(next(keys), shape, dtype) for shape in shapes.all]
        self.parameters = sum(math.prod(shape) for shape in shapes.all)

        def total(x: Any, weights: list[Any]) -> Any:
            return sum(jnp.sum(output) for output in products(shapes, x, weights))

        self._gradients = jax.jit(jax.grad(total, argnums=(0, 1)))

    def train(self, rows: int) -> None:
        """As many steps as the rows have batches."""
        for _ in range(-(-rows // self._batch_size)):
            gradients = self._gradients(self._x, self._weights)
        jax.block_until_ready(gradients)


def products(shapes: Kernels, x: Any, weights: list[Any]) -> list[Any]:
    """Each product of the output of the one before it; what nothing reads is returned."""
    waiting = iter(weights)
    y = x @ next(waiting)  # (B, E * U + gates)
    experts, width, _ = shapes.levels[0][0]
    x = y[:, : experts * width].reshape(-1, experts, width).transpose(1, 0, 2)  # (E, B, U)
    for _ in [kernel for level in shapes.levels for kernel in level]:
        x = x @ next(waiting)  # (E, B, U)
    gated = [x[:1] @ next(waiting) for _ in shapes.gates]  # (1, B, gates)
    tasks, depth, _ = shapes.towers[0]
    repeats = -(-tasks // experts)  # there may be more towers than experts
    x = jnp.tile(x, (repeats, 1, 1))[:tasks, :, :depth]  # (T, B, U)
    for _ in shapes.towers:
        x = x @ next(waiting)  # (T, B, U)
    return [y, *gated, x]


def make(work: Workload, model: str, precision: str = "float32") -> Contender:
    """The products, ready to run."""
    return MatrixProducts(work, model, precision)
