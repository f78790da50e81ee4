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
    return keras.ops.convert_to_numpy(weight).astype("float64")


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
