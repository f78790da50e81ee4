"""Reads the weights of layers in the form that the NumPy twins take, and sets them at random."""

import keras
import numpy as np

from keras_mtl.layers import CGC, Experts, MMoE


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


def mmoe_weights(layer: MMoE) -> dict:
    kernels = array(layer.gate.dense[-1].kernel)  # (G, D, E)
    return {"experts": expert_weights(layer.experts), "gates": [kernel.T for kernel in kernels]}


def cgc_weights(layer: CGC) -> dict:
    experts = expert_weights(layer.experts)
    kernels = array(layer.gate.dense[-1].kernel)  # (G, D, E)
    ends = np.cumsum(layer.task_experts)
    owned = [list(range(end - m, end)) for end, m in zip(ends, layer.task_experts, strict=True)]
    shared = list(range(ends[-1], len(experts)))
    return {
        "task_experts": [[experts[e] for e in own] for own in owned],
        "shared_experts": [experts[e] for e in shared],
        "task_gates": [kernels[task].T[own + shared] for task, own in enumerate(owned)],
        "shared_gate": kernels[-1].T if layer.shared_output else None,
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
