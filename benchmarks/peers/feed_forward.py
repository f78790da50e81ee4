"""One feed-forward layer in Keras, dense or of sparse experts, and its training steps."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import keras
from keras import ops

from benchmarks.workload import Sizes, Workload


class Steps(Protocol):
    """Training steps of a layer in one backend: forward, backward, update of the weights."""

    def run(self, count: int) -> None:
        """Takes so many steps on all tokens."""

    def memory(self) -> int:
        """Bytes that a step needs beside what is there before it."""


class FeedForward:
    """A layer, and the tokens that it is trained on again and again."""

    def __init__(self, layer: keras.Model, work: Workload, jit_compile: bool) -> None:
        self.parameters = sum(math.prod(weight.shape) for weight in layer.trainable_weights)
        self._tokens = len(work)
        self._steps = steps_on_backend(layer, work.numeric, jit_compile)

    def train(self, rows: int) -> None:
        """As many steps as the rows have batches of all tokens."""
        self._steps.run(-(-rows // self._tokens))

    def step_bytes(self) -> int:
        """What a step needs beside the weights and the tokens."""
        return self._steps.memory()


def steps_on_backend(layer: keras.Model, tokens: Any, jit_compile: bool) -> Steps:
    """The steps; those of JAX are always compiled."""
    optimizer = keras.optimizers.SGD()
    optimizer.build(layer.trainable_variables)
    if keras.backend.backend() == "jax":
        from benchmarks.peers.feed_forward_jax import JaxSteps

        return JaxSteps(layer, optimizer, tokens)
    from benchmarks.peers.feed_forward_tensorflow import TensorFlowSteps

    return TensorFlowSteps(layer, optimizer, tokens, jit_compile)


def loss(
    layer: keras.Model, trainable: list[Any], others: list[Any], tokens: Any
) -> tuple[Any, Any]:
    """The mean square of the outputs with what the layer adds, and its other new state."""
    outputs, others, added = layer.stateless_call(
        trainable, others, tokens, training=True, return_losses=True
    )
    return ops.mean(ops.square(ops.cast(outputs, "float32"))) + sum(added), others


def dense(sizes: Sizes) -> list[keras.Layer]:
    """The dense layer of equal arithmetic."""
    hidden, width = sizes.expert_units
    return [keras.layers.Dense(hidden, activation="relu"), keras.layers.Dense(width)]


def switch(sizes: Sizes, **options: float) -> list[keras.Layer]:
    """Ours with one expert a token."""
    from keras_mtl.layers import SwitchFFN

    hidden, _ = sizes.expert_units
    return [SwitchFFN(sizes.num_experts, hidden, **options)]


def moe(sizes: Sizes, capacity_factor: float | None = None) -> list[keras.Layer]:
    """Ours with two experts a token."""
    from keras_mtl.layers import MoE

    units = sizes.expert_units
    return [MoE(sizes.num_experts, units, top_k=2, capacity_factor=capacity_factor)]


def experts_alone(sizes: Sizes, capacity_factor: float) -> list[keras.Layer]:
    """The experts' products, without routing."""
    from benchmarks.peers.experts_alone import ExpertsAlone

    experts, tokens = sizes.num_experts, sizes.batch_size
    capacity = int(capacity_factor * tokens / experts)
    return [ExpertsAlone(experts, sizes.expert_units[0], tokens, capacity)]


def there_and_back(sizes: Sizes, **options: Any) -> list[keras.Layer]:
    """The way to the experts and back, without them."""
    from benchmarks.peers.there_and_back import ThereAndBack

    return [ThereAndBack(sizes.num_experts, **options)]


LAYERS: dict[str, Callable[..., list[keras.Layer]]] = {
    "dense": dense,
    "switch": switch,
    "moe": moe,
    "experts_alone": experts_alone,
    "there_and_back": there_and_back,
}


def make(
    work: Workload,
    model: str,
    jit_compile: bool = False,
    fixed_kernels: bool = False,
    precision: str = "float32",
    **options: Any,
) -> FeedForward:
    """The layer, ready to train; kernels may be held fixed, so that no gradient has their size."""
    if precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{precision}")
    keras.utils.set_random_seed(work.sizes.seed)
    layers = LAYERS[model](work.sizes, **options)
    layer = keras.Sequential([keras.Input((work.width,)), *layers])
    for weight in layer.trainable_weights:
        if fixed_kernels and math.prod(weight.shape) >= math.prod(work.sizes.expert_units):
            weight.trainable = False
    return FeedForward(layer, work, jit_compile)
