"""Gates hold and compute what they see, and nothing else."""

import math

import keras
import numpy as np
import pytest

from keras_mtl.layers import CGC, PLE, Gate, MMoE, SwitchFFN
from keras_mtl.layers import cgc as module
from keras_mtl.layers.seeded_attention import SeededAttention
from tests.layers.weights import array, gate_kernels, randomize

RAGGED = (2, 0, 1, 2)
DEPTH = 5


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def built(layer: keras.layers.Layer, *row: int) -> keras.layers.Layer:
    layer.build((None, *row))
    return layer


def parameters(layer: keras.layers.Layer) -> int:
    return sum(math.prod(weight.shape) for weight in layer.trainable_weights)


def choices(gate: Gate) -> int:
    """The columns that gates need: one for each expert that a gate sees beside others."""
    return sum(len(row) for row in gate.visible if len(row) > 1)


@pytest.mark.parametrize("own", [0, 1, 2, RAGGED])
@pytest.mark.parametrize("shared", [1, 2])
@pytest.mark.parametrize("shared_output", [False, True])
def test_gates_hold_a_column_for_each_expert_that_they_see_beside_others(
    own, shared, shared_output
):
    layer = built(CGC(4, shared, own, 3, shared_output=shared_output), DEPTH)
    assert parameters(layer.gate) == DEPTH * choices(layer.gate)


def test_parameters_of_gates_grow_as_the_tasks_do():
    few, many = (built(CGC(tasks, 1, 1, 3), DEPTH).gate for tasks in (8, 64))
    assert parameters(many) == 8 * parameters(few)


def test_a_gate_that_sees_one_expert_has_no_weights_of_its_own():
    gate = built(Gate(3, 3, hidden_units=4, visible=[(1,), (0, 2), (2,)]), DEPTH)
    assert {dense.num_tasks for dense in gate.dense} == {1}
    for alone in (Gate(1, 3, hidden_units=4), MMoE(2, 1, 3).gate, CGC(3, 0, 1, 3).gate):
        assert not built(alone, DEPTH).trainable_weights
    weights = keras.ops.convert_to_numpy(Gate(3, 2, visible=[(1,), (2,)])(draw(2, DEPTH)))
    np.testing.assert_array_equal(weights, [[[0, 1, 0], [0, 0, 1]]] * 2)


@pytest.mark.parametrize("hidden_units", [(), (4,)])
@pytest.mark.parametrize("own_inputs", [False, True])
def test_a_gate_is_the_softmax_over_what_it_sees(hidden_units, own_inputs):
    visible = [(0, 3), (2,), (3, 0, 1), (1, 2)]
    gate = Gate(4, 4, hidden_units, gate_inputs=own_inputs, visible=visible, activation="tanh")
    inputs = draw(6, *([4] if own_inputs else []), DEPTH)
    built(gate, *inputs.shape[1:])
    randomize(gate)
    found = keras.ops.convert_to_numpy(gate(inputs))
    kernels = gate_kernels(gate, hidden_units[-1] if hidden_units else DEPTH)
    choosers = [index for index, row in enumerate(visible) if len(row) > 1]
    for index, row in enumerate(visible):
        x = inputs[:, index] if own_inputs else inputs
        if hidden_units and len(row) > 1:
            hidden, place = gate.dense[0], choosers.index(index)
            x = np.tanh(x @ array(hidden.kernel)[place] + array(hidden.bias)[place])
        expected = np.zeros((6, 4))
        logits = x @ kernels[index].T if len(row) > 1 else np.zeros((6, 1))
        expected[:, sorted(row)] = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        np.testing.assert_allclose(found[:, index], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hidden_units", [(), (4,)])
def test_what_a_gate_draws_does_not_depend_on_what_others_see(hidden_units):
    def drawn(*visible: tuple[int, ...]) -> list[np.ndarray]:
        gate = built(Gate(4, len(visible), hidden_units, visible=visible, seed=3), DEPTH)
        hidden = [array(dense.kernel)[0] for dense in gate.dense[: len(hidden_units)]]
        return [*hidden, gate_kernels(gate, DEPTH)[0]]

    expected = drawn((0, 1), (0, 2))
    for others in ([(0, 1, 2), (1, 3)], [(1,)], [(2, 3), (1, 2), (0, 3)]):
        for first, second in zip(expected, drawn((0, 1), *others), strict=True):
            np.testing.assert_array_equal(first, second)


def test_kernels_of_gates_have_the_variance_of_their_own_width():
    gate = built(Gate(60, 9, visible=[range(20)] * 8 + [range(60)], seed=1), 80)
    for dense in gate.dense:
        expected = (2 / (80 + dense.units)) ** 0.5
        np.testing.assert_allclose(array(dense.kernel).std(axis=(1, 2)), expected, rtol=0.08)


@pytest.mark.parametrize("own", [1, 2, RAGGED])
@pytest.mark.parametrize("shared", [0, 1, 2])
@pytest.mark.parametrize("shared_output", [False, True])
@pytest.mark.parametrize("task_inputs", [False, True])
def test_many_tasks_mix_as_few_do(own, shared, shared_output, task_inputs, monkeypatch):
    own = 2 if own == RAGGED and not shared else own
    layer = CGC(4, shared, own, 3, shared_output=shared_output, task_inputs=task_inputs)
    inputs = draw(6, *([5] if task_inputs else []), DEPTH)
    built(layer, *inputs.shape[1:])
    randomize(layer)
    few = layer(inputs)
    monkeypatch.setattr(module, "FEW_GATES", 0)
    np.testing.assert_allclose(layer(inputs), few, rtol=1e-4, atol=1e-5)


def test_many_tasks_mix_without_weights_of_all_experts_for_all_tasks():
    tasks, rows, units = 40, 3, 2
    layer = built(CGC(tasks, 1, 1, units), DEPTH)
    largest = max(math.prod(shape) for shape in shapes_in_a_call(layer, draw(rows, DEPTH)))
    assert largest < rows * tasks * (tasks + 1)


def shapes_in_a_call(layer: keras.layers.Layer, inputs: np.ndarray) -> list[tuple[int, ...]]:
    """The shapes of all tensors with which a layer computes its outputs."""
    if keras.backend.backend() == "jax":
        import jax

        weights = [
            [v.value for v in part]
            for part in (layer.trainable_variables, layer.non_trainable_variables)
        ]
        traced = jax.make_jaxpr(lambda x: layer.stateless_call(*weights, x)[0])(inputs)
        return [v.aval.shape for equation in traced.jaxpr.eqns for v in equation.outvars]
    import tensorflow as tf

    graph = tf.function(layer).get_concrete_function(tf.constant(inputs)).graph
    outputs = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    shapes = [tensor.shape for tensor in outputs if tensor.dtype != tf.resource]
    return [tuple(shape) for shape in shapes if shape.is_fully_defined()]


def test_levels_of_ple_hold_what_their_gates_see():
    layer = built(PLE(3, 2, 1, (1, 2, 0), 4), DEPTH)
    lower, upper = (stage.gate for stage in layer.stages)
    assert parameters(lower) == DEPTH * (2 + 3 + 0 + 4)
    assert parameters(upper) == 4 * (2 + 3 + 0)


def test_a_single_expert_needs_no_router():
    layer = SwitchFFN(1, 6, jitter=0.0, router_z_loss=0.1)
    inputs = draw(2, 3, DEPTH)
    outputs = layer(inputs, training=True)
    assert {weight.name for weight in layer.trainable_weights} == {"kernel_0", "kernel_1"}
    first, second = (array(kernel)[0] for kernel in layer.experts.kernels)
    np.testing.assert_allclose(outputs, np.maximum(inputs @ first, 0) @ second, atol=1e-5)


def test_keys_of_an_attention_have_no_bias():
    layer = SeededAttention(2, 3)
    layer.build((None, 4, 6), (None, 4, 6))
    assert layer.key_dense.bias is None
    assert sum("key" in weight.path for weight in layer.weights) == 1
    assert sum("bias" in weight.path for weight in layer.weights) == 3
