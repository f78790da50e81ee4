"""Which task trains which expert, and what the gates read, seen from gradients."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import CGC, PLE, Gate
from tests.layers.weights import gradients, randomize


def built(layer: keras.layers.Layer, *shape: int) -> tuple[keras.layers.Layer, np.ndarray]:
    layer.build(shape)
    randomize(layer)
    for weight in layer.trainable_weights:
        weight.assign(weight * 0.3)  # gates far from saturation, so no gradient underflows
    return layer, np.random.default_rng(2).normal(size=shape).astype("float32")


def reached(found: dict[str, np.ndarray], *names: str) -> list[bool]:
    """Whether each slice of the weight whose path holds all names has a gradient."""
    (gradient,) = [g for path, g in found.items() if all(name in path for name in names)]
    sizes = [np.abs(piece).max() for piece in gradient]
    assert all(size == 0 or size > 1e-6 for size in sizes), sizes
    return [size > 0 for size in sizes]


@pytest.mark.parametrize(("task", "expected"), [(0, "110001"), (1, "000001"), (2, "001111")])
def test_a_task_trains_only_its_own_and_the_shared_experts_of_a_level(task, expected):
    layer, inputs = built(CGC(3, 1, (2, 0, 3), 4, activation="tanh"), 6, 5)
    found = gradients(layer, inputs, task)
    assert reached(found, "experts", "kernel") == [flag == "1" for flag in expected]
    # Gates of tasks 0 and 2, with three and four experts; task 1 sees one, and has no kernel.
    assert reached(found, "gate/logits/kernel") == [task == 0]
    assert reached(found, "gate/logits_1/kernel") == [task == 2]
    assert layer.gate.count_params() == 5 * (3 + 4) + 1  # and the temperature


def test_a_hidden_expert_has_no_weight_and_no_column_in_a_kernel():
    layer, inputs = built(Gate(4, 2, visible=[(0, 3), (1, 2, 3)]), 6, 5)
    weights = keras.ops.convert_to_numpy(layer(inputs))
    assert np.all(weights[:, 0, 1:3] == 0)
    assert np.all(weights[:, 1, 0] == 0)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)
    assert [dense.kernel.shape for dense in layer.dense] == [(1, 5, 2), (1, 5, 3)]
    first, second = gradients(layer, inputs, 0).values()  # (G, D, n)
    assert np.all(first != 0)
    assert np.all(second == 0)


@pytest.mark.parametrize("level", [0, 1])
def test_the_shared_gate_of_every_level_but_the_last_mixes_all_experts(level):
    stage = PLE(2, 3, 1, 2, 4, activation="tanh").stages[level]
    stage, inputs = built(stage, *((6, 5) if level == 0 else (6, 3, 5)))
    assert reached(gradients(stage, inputs, task=2), "experts", "kernel") == [True] * 5


def test_the_last_level_has_no_shared_gate():
    layer = PLE(2, 3, 1, 2, 4)
    assert [stage.gate.num_gates for stage in layer.stages] == [3, 3, 2]


def test_at_the_second_level_experts_of_all_tasks_are_reached_below():
    layer, inputs = built(PLE(2, 2, 1, 1, 4, activation="tanh"), 6, 5)
    found = gradients(layer, inputs, task=0)
    assert reached(found, "level_0/experts", "kernel") == [True, True, True]
    assert reached(found, "level_1/experts", "kernel") == [True, False, True]


def test_the_gates_and_experts_of_a_level_read_their_own_slot_of_the_level_below():
    layer, inputs = built(CGC(2, 1, 1, 4, task_inputs=True, shared_output=True), 6, 3, 5)
    before = keras.ops.convert_to_numpy(layer.gate(inputs))
    for slot in range(3):
        changed = inputs.copy()
        changed[:, slot] += 1.0
        gates = keras.ops.convert_to_numpy(layer.gate(changed))
        experts = keras.ops.convert_to_numpy(layer.experts(changed) - layer.experts(inputs))
        assert [bool(np.any(gates[:, i] != before[:, i])) for i in range(3)] == [
            i == slot for i in range(3)
        ]
        assert [bool(np.any(experts[:, i] != 0)) for i in range(3)] == [i == slot for i in range(3)]


def test_the_gates_of_a_level_read_the_level_below_not_the_input():
    layer, inputs = built(PLE(2, 2, 1, 1, 4, activation="tanh"), 6, 5)
    seen = []
    call = layer.stages[1].gate.call
    layer.stages[1].gate.call = lambda x, **kwargs: seen.append(x) or call(x, **kwargs)
    layer(inputs)
    below = keras.ops.convert_to_numpy(layer.stages[0](inputs))[:, :2]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(seen[0]), below, rtol=1e-5)


def test_temperature_flattens_gates_and_a_schedule_may_assign_it():
    layer, inputs = built(Gate(3, 1, temperature=2.0), 6, 5)
    logits = np.log(keras.ops.convert_to_numpy(layer(inputs)))
    layer.temperature_weight.assign(1.0)
    sharper = np.log(keras.ops.convert_to_numpy(layer(inputs)))
    logits, sharper = (x - x.mean(-1, keepdims=True) for x in (logits, sharper))
    np.testing.assert_allclose(2 * logits, sharper, rtol=1e-4, atol=1e-5)
    assert [weight.name for weight in layer.non_trainable_weights] == ["temperature"]


def test_the_shared_point_is_a_child_without_a_task_axis():
    for layer in (CGC(2, 1, 1, 4), PLE(2, 3, 1, 1, 4)):
        layer.build((6, 5))
        assert getattr(layer, layer.shared_point).compute_output_shape((6, 3, 5))[-2:] == (3, 4)
    assert PLE(2, 3, 1, 1, 4).experts.input_slots == (0, 1, 2)
