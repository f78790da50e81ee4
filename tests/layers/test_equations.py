"""MMoE, CGC and PLE against their NumPy twins, and against each other where they coincide."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import CGC, PLE, Experts, MMoE
from tests.layers.weights import cgc_weights, expert_weights, mmoe_weights, randomize
from tests.reference.cgc import cgc
from tests.reference.experts import expert
from tests.reference.mmoe import mmoe
from tests.reference.ple import ple

SHAPES = [(5, 4), (3, 2, 4), (2, 2, 3, 4)]


def run(layer: keras.layers.Layer, inputs: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(inputs))


def rows(inputs: np.ndarray) -> np.ndarray:
    return inputs.reshape(-1, inputs.shape[-1])


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("num_tasks", "num_experts", "units"), [(1, 1, (3,)), (2, 4, (3,)), (3, 5, (6, 2))]
)
def test_mmoe_is_the_papers(shape, num_tasks, num_experts, units):
    layer = MMoE(num_tasks, num_experts, units)
    layer.build(shape)
    randomize(layer)
    inputs = draw(*shape)
    expected = [mmoe(row, **mmoe_weights(layer, shape[-1])) for row in rows(inputs)]
    got = run(layer, inputs).reshape(-1, num_tasks, units[-1])
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("units", [(1,), (3, 2)])
@pytest.mark.parametrize("slots", [(0, 0, 1, 1), (0, 0, 1), (1, 1, 0, 0), (0, 1), (1,)])
def test_every_expert_reads_its_slot(slots, units):
    layer = Experts(len(slots), units, input_slots=slots)
    layer.build((None, 2, 4))
    randomize(layer)
    inputs = draw(5, 2, 4)
    outputs = run(layer, inputs)
    for index, (slot, weights) in enumerate(zip(slots, expert_weights(layer), strict=True)):
        expected = [expert(row, weights) for row in inputs[:, slot]]
        np.testing.assert_allclose(outputs[:, index], expected, rtol=1e-4, atol=1e-5)


CGC_SIZES = [(1, 1, 1, (3,)), (2, 2, 2, (3,)), (3, 1, (2, 1, 3), (5, 2)), (3, 2, (0, 1, 2), (3,))]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("num_tasks", "shared", "own", "units"), [*CGC_SIZES, (2, 0, 2, (3,))])
@pytest.mark.parametrize("shared_output", [False, True])
def test_cgc_is_the_papers(shape, num_tasks, shared, own, units, shared_output):
    layer = CGC(num_tasks, shared, own, units, shared_output=shared_output)
    layer.build(shape)
    randomize(layer)
    inputs = draw(*shape)
    got = run(layer, inputs)
    got = got.reshape(-1, *got.shape[-2:])
    for row, outputs in zip(rows(inputs), got, strict=True):
        tasks, shared_vector = cgc([row] * num_tasks, row, **cgc_weights(layer, shape[-1]))
        expected = [*tasks, shared_vector] if shared_output else tasks
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(("num_tasks", "shared", "own", "units"), CGC_SIZES)
def test_ple_is_the_papers(shape, levels, num_tasks, shared, own, units):
    layer = PLE(num_tasks, levels, shared, own, units)
    layer.build(shape)
    randomize(layer)
    inputs = draw(*shape)
    depths = [shape[-1], *[units[-1]] * (levels - 1)]
    stages = zip(layer.stages, depths, strict=True)
    weights = [cgc_weights(stage, depth) for stage, depth in stages]
    expected = np.stack([ple(row, weights) for row in rows(inputs)])
    got = run(layer, inputs).reshape(expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def copy_weights(source: keras.layers.Layer, target: keras.layers.Layer) -> None:
    target.set_weights(source.get_weights())


def test_mmoe_with_one_expert_is_a_shared_bottom():
    layer = MMoE(3, 1, (6, 2))
    inputs = draw(5, 4)
    layer.build(inputs.shape)
    bottom = Experts(1, (6, 2))
    bottom.build(inputs.shape)
    copy_weights(layer.experts, bottom)
    expected = np.repeat(run(bottom, inputs), 3, axis=1)
    np.testing.assert_allclose(run(layer, inputs), expected, rtol=1e-6)


def test_one_gate_gives_every_task_the_mixture_of_an_mmoe_with_equal_gates():
    inputs = draw(5, 4)
    one, many = MMoE(3, 4, 2, one_gate=True), MMoE(3, 4, 2)
    one.build(inputs.shape)
    many.build(inputs.shape)
    copy_weights(one.experts, many.experts)
    kernel = keras.ops.convert_to_numpy(one.gate.dense[0].kernel)  # (1, D, E)
    many.gate.dense[0].kernel.assign(np.repeat(kernel, 3, axis=0))
    got = run(one, inputs)
    np.testing.assert_allclose(got, run(many, inputs), rtol=1e-5, atol=1e-6)
    assert one.count_params() < many.count_params()


def test_ple_with_one_level_is_cgc():
    inputs = draw(5, 4)
    one = PLE(3, 1, 2, (1, 0, 2), (5, 3))
    level = CGC(3, 2, (1, 0, 2), (5, 3))
    one.build(inputs.shape)
    level.build(inputs.shape)
    copy_weights(one, level)
    np.testing.assert_array_equal(run(one, inputs), run(level, inputs))


def test_cgc_without_task_experts_is_mmoe():
    inputs = draw(5, 4)
    level, mixture = CGC(2, 3, 0, (5, 2)), MMoE(2, 3, (5, 2))
    level.build(inputs.shape)
    mixture.build(inputs.shape)
    copy_weights(level, mixture)
    np.testing.assert_allclose(run(level, inputs), run(mixture, inputs), rtol=1e-6)


def test_cgc_with_one_own_expert_and_no_shared_ones_is_independent_networks():
    inputs = draw(5, 4)
    level, networks = CGC(3, 0, 1, (5, 2)), Experts(3, (5, 2))
    level.build(inputs.shape)
    networks.build(inputs.shape)
    copy_weights(level.experts, networks)
    np.testing.assert_allclose(run(level, inputs), run(networks, inputs), rtol=1e-6)
