"""Reads the weights of layers in the form that the NumPy twins take, and sets them at random."""

import keras
import numpy as np

from keras_mtl.layers import CGC, Experts, Gate, MMoE


def randomize(layer: keras.layers.Layer, seed: int = 0) -> None:
    """Random values for every trainable weight, biases included."""
    generator = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(size=tuple(weight.shape)))


def array(weight: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight.value).astype("float64")


def expert_weights(experts: Experts) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """For each expert its layers as (kernel, bias)."""
    return [
        [(array(dense.kernel)[index], array(dense.bias)[index]) for dense in experts.dense]
        for index in range(experts.num_experts)
    ]


def gate_kernels(gate: Gate, depth: int) -> list[np.ndarray]:
    """For each linear gate its kernel (n, D) for the n experts that it sees; zeros where n = 1."""
    visible = gate.visible or [range(gate.num_experts)] * gate.num_gates
    stacks = {dense.units: iter(array(dense.kernel)) for dense in gate.dense}
    alone = np.zeros((1, depth))
    return [alone if len(row) == 1 else next(stacks[len(row)]).T for row in visible]


def mmoe_weights(layer: MMoE, depth: int) -> dict:
    return {"experts": expert_weights(layer.experts), "gates": gate_kernels(layer.gate, depth)}


def cgc_weights(layer: CGC, depth: int) -> dict:
    experts = expert_weights(layer.experts)
    kernels = gate_kernels(layer.gate, depth)
    ends = np.cumsum(layer.task_experts)
    owned = [list(range(end - m, end)) for end, m in zip(ends, layer.task_experts, strict=True)]
    return {
        "task_experts": [[experts[e] for e in own] for own in owned],
        "shared_experts": experts[ends[-1] :],
        "task_gates": kernels[: layer.num_tasks],
        "shared_gate": kernels[-1] if layer.shared_output else None,
    }


def gradients(layer: keras.layers.Layer, inputs: np.ndarray, task: int) -> dict[str, np.ndarray]:
    """Gradients of the sum of one task's squared outputs, by the path of the weight."""

    def loss(outputs):
        return keras.ops.sum(keras.ops.square(outputs[..., task, :]))

    weights = layer.trainable_variables
    if keras.backend.backend() == "jax":
        import jax

        frozen = [weight.value for weight in layer.non_trainable_variables]
        found = jax.grad(lambda free: loss(layer.stateless_call(free, frozen, inputs)[0]))(
            [weight.value for weight in weights]
        )
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(layer(inputs))
        found = tape.gradient(
            value, [weight.value for weight in weights], unconnected_gradients="zero"
        )
    return {
        weight.path: keras.ops.convert_to_numpy(gradient)
        for weight, gradient in zip(weights, found, strict=True)
    }
