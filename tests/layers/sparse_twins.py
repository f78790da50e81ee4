"""A sparse layer and its NumPy twin on the same weights and draws; gradients of the two."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_mtl.layers import MoE, SwitchFFN, routing
from tests.reference.moe import Routed, moe
from tests.reference.switch_ffn import switch_ffn

# One normal draw and one byte a row and column, whatever the number of rows.
DRAWS = np.random.default_rng(8)
NORMAL = DRAWS.normal(size=(64, 64)).astype("float32")
BYTES = DRAWS.integers(256, size=(64, 64)).astype("uint8")


def fix_draws(monkeypatch: Any) -> None:
    """Makes every call of `keras.random.normal` and `randint` return the same numbers."""

    def normal(shape, *_, **__):
        return keras.ops.convert_to_tensor(NORMAL[: shape[0], : shape[1]])

    def randint(shape, *_, **__):
        words = np.ascontiguousarray(BYTES[: shape[0], : 4 * shape[1]]).view("int32")
        return keras.ops.convert_to_tensor(words)

    monkeypatch.setattr(keras.random, "normal", normal)
    monkeypatch.setattr(keras.random, "randint", randint)


def array(tensor: Any) -> np.ndarray:
    value = getattr(tensor, "value", tensor)
    return keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")).astype("float64")


def draw(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def prepared(layer: Any, depth: int, seed: int = 0, scale: float = 0.7) -> Any:
    """The layer, built for rows (..., D), every weight drawn at random, biases and gates too."""
    layer.build((None, depth))
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(scale * generator.normal(size=tuple(weight.shape)))
    return layer


def scores_of(layer: Any) -> Any:
    """The part of a layer that scores the experts."""
    return layer.gate if isinstance(layer, MoE) else layer.router


def concentrated(layer: Any, rows: int, expert: int = 0) -> np.ndarray:
    """Inputs (rows, D) that all choose one expert first, which no even share has room for."""
    kernel = array(scores_of(layer).kernel)
    kernel[0] = 0.0
    kernel[0, expert] = 5.0 + np.abs(kernel).sum()
    scores_of(layer).kernel.assign(kernel)
    inputs = np.clip(draw(rows, len(kernel)), -2, 2)
    inputs[:, 0] = np.abs(inputs[:, 0]) + 2.0
    return inputs


def in_place(layer: Any, routed: Routed) -> bool:
    """Whether a dropless layer computes the choices without copies of kernels."""
    experts = np.where(routed.kept, routed.experts, layer.num_experts).astype("int32")
    _, in_place = routing.generous_capacity(routing.queue_up(experts, layer.num_experts))
    return bool(array(in_place))


def weights_of(layer: Any) -> dict[str, np.ndarray]:
    """The layer's weights by the last two parts of their paths, as `gate/kernel`."""
    return {
        "/".join(weight.path.split("/")[-2:]): array(weight) for weight in layer.trainable_weights
    }


def networks_of(layer: Any, weights: dict[str, np.ndarray]) -> list:
    """For each expert its layers as (kernel, bias)."""
    depth = sum(name.startswith("experts/kernel") for name in weights)
    pairs = [
        (
            weights[f"experts/kernel_{number}"],
            weights.get(f"experts/bias_{number}", np.zeros((layer.num_experts, 1))),
        )
        for number in range(depth)
    ]
    return [[(k[e], b[e]) for k, b in pairs] for e in range(layer.num_experts)]


def twin(
    layer: Any,
    inputs: np.ndarray,
    mask: np.ndarray | None = None,
    training: bool = False,
    weights: dict[str, np.ndarray] | None = None,
) -> Routed:
    """What the twin makes of the layer's weights, with the draws of `fix_draws` in training."""
    weights = weights_of(layer) if weights is None else weights
    x = np.asarray(inputs, "float64").reshape(-1, inputs.shape[-1])
    networks = networks_of(layer, weights)
    shared = {
        "k": layer.top_k,
        "num_groups": layer.num_groups,
        "routed": None if mask is None else np.asarray(mask, bool).ravel(),
    }
    if isinstance(layer, MoE):
        noise = NORMAL[: len(x), : layer.num_experts].astype("float64")
        return moe(
            x,
            networks,
            weights["gate/kernel"],
            weights.get("noise_gate/kernel"),
            noise if training and layer.noisy else None,
            noise_epsilon=layer.noise_epsilon,
            capacity_factor=layer.capacity_factor,
            **shared,
        )
    assert isinstance(layer, SwitchFFN)
    factors = 1 + layer.jitter * (2 / 255 * BYTES[: len(x), : x.shape[1]].astype("float64") - 1)
    alone = np.zeros((x.shape[1], 1))  # one expert has no router: all scores are 0
    return switch_ffn(
        x,
        networks,
        weights.get("router/kernel", alone),
        capacity_factor=layer.capacity_factor if training else layer.eval_capacity_factor,
        min_capacity=layer.min_capacity,
        jitter=factors if training and layer.jitter else None,
        **shared,
    )


def added(layer: Any, routed: Routed) -> float:
    """The loss that a layer adds while training."""
    return sum(weight * routed.losses[name] for name, weight in layer.loss_weights().items())


def gradients(
    layer: Any,
    inputs: np.ndarray,
    direction: np.ndarray | None,
    mask: np.ndarray | None = None,
    training: bool = True,
) -> dict[str, np.ndarray]:
    """Gradients of `sum(direction * outputs) + losses` in all weights and in the inputs.

    Without a direction those of the losses alone.
    """
    weights = layer.trainable_variables
    call = {"training": training} | ({} if mask is None else {"mask": mask})

    def objective(outputs, losses):
        total = sum(losses, keras.ops.zeros(()))
        return total if direction is None else total + keras.ops.sum(direction * outputs)

    if keras.backend.backend() == "jax":
        import jax

        rest = [weight.value for weight in layer.non_trainable_variables]

        def value(free, x):
            outputs, _, losses = layer.stateless_call(free, rest, x, return_losses=True, **call)
            return objective(outputs, losses)

        found, of_inputs = jax.grad(value, (0, 1))(
            [weight.value for weight in weights], keras.ops.convert_to_tensor(inputs)
        )
    else:
        import tensorflow as tf

        x = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = objective(layer(x, **call), layer.losses)
        sources = [[weight.value for weight in weights], x]
        found, of_inputs = tape.gradient(total, sources, unconnected_gradients="zero")
    named = {
        "/".join(weight.path.split("/")[-2:]): keras.ops.convert_to_numpy(gradient)
        for weight, gradient in zip(weights, found, strict=True)
    }
    return {**named, "inputs": keras.ops.convert_to_numpy(of_inputs)}


def finite_differences(
    value: Callable[[dict[str, np.ndarray]], float],
    at: dict[str, np.ndarray],
    name: str,
    count: int = 6,
    step: float = 1e-6,
) -> list[tuple[np.ndarray, float]]:
    """Random directions of one of a function's float64 arrays, and the slopes along them."""
    generator = np.random.default_rng(9)
    slopes = []
    for _ in range(count):
        way = generator.normal(size=at[name].shape)
        above, below = (value({**at, name: at[name] + sign * step * way}) for sign in (1, -1))
        slopes.append((way, (above - below) / (2 * step)))
    return slopes
