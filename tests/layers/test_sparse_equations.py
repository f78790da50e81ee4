"""MoE and SwitchFFN against their NumPy twins: outputs, losses, gradients; what they equal."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import Experts, Gate, MoE, SwitchFFN
from tests.layers.sparse_twins import (
    added,
    array,
    concentrated,
    draw,
    finite_differences,
    fix_draws,
    gradients,
    in_place,
    prepared,
    twin,
    weights_of,
)
from tests.reference.experts import softmax
from tests.reference.moe import moe

LOSSES = {"importance_loss": 0.7, "load_loss": 0.3}
SWITCH_LOSSES = {"balance_loss": 0.7, "router_z_loss": 0.3}

MOES = {
    "dropless": {"num_experts": 5, "expert_units": (6, 3)},
    "linear_experts": {"num_experts": 3, "expert_units": 2, "top_k": 3},
    "top_4": {"num_experts": 6, "expert_units": (4, 3), "top_k": 4},
    "overflow": {"num_experts": 4, "expert_units": (5, 2), "capacity_factor": 0.6},
    "overflow_top_4": {
        "num_experts": 6,
        "expert_units": (4, 4, 2),
        "top_k": 4,
        "capacity_factor": 0.8,
    },
    "tiny_capacity": {"num_experts": 5, "expert_units": 3, "capacity_factor": 0.01},
    "wide_capacity": {"num_experts": 5, "expert_units": 3, "capacity_factor": 5.0},
    "groups": {"num_experts": 4, "expert_units": 3, "num_groups": 2},
    "groups_overflow": {
        "num_experts": 4,
        "expert_units": 3,
        "num_groups": 3,
        "capacity_factor": 0.8,
    },
    "quiet": {"num_experts": 4, "expert_units": 3, "noisy": False, "capacity_factor": 1.0},
    "no_bias": {"num_experts": 4, "expert_units": (3, 3), "use_bias": False, "noise_epsilon": 0.5},
}
SWITCHES = {
    "plain": {"num_experts": 4, "hidden_units": 5},
    "overflow": {"num_experts": 3, "hidden_units": 5, "capacity_factor": 0.5, "min_capacity": 1},
    "minimum": {"num_experts": 4, "hidden_units": 3, "capacity_factor": 0.1, "min_capacity": 3},
    "one_expert": {"num_experts": 1, "hidden_units": 4, "jitter": 0.4},
    "jitter": {"num_experts": 4, "hidden_units": 5, "jitter": 0.4, "capacity_factor": 4.0},
    "top_2": {"num_experts": 4, "hidden_units": 5, "top_k": 2, "use_bias": True},
    "top_2_overflow": {
        "num_experts": 4,
        "hidden_units": 5,
        "top_k": 2,
        "capacity_factor": 0.6,
        "eval_capacity_factor": 0.8,
        "min_capacity": 1,
    },
    "groups": {"num_experts": 3, "hidden_units": 4, "num_groups": 2, "min_capacity": 1},
    "dropless": {
        "num_experts": 5,
        "hidden_units": 4,
        "num_groups": 2,
        "capacity_factor": None,
        "eval_capacity_factor": None,
    },
    "groups_overflow": {
        "num_experts": 3,
        "hidden_units": 4,
        "num_groups": 3,
        "top_k": 2,
        "capacity_factor": 0.6,
        "min_capacity": 1,
        "use_bias": True,
    },
}
LAYERS = {
    **{f"moe_{name}": (MoE, {**LOSSES, **options}) for name, options in MOES.items()},
    **{
        f"switch_{name}": (SwitchFFN, {**SWITCH_LOSSES, **options})
        for name, options in SWITCHES.items()
    },
}
every_layer = pytest.mark.parametrize(("kind", "options"), list(LAYERS.values()), ids=list(LAYERS))
DEPTH = 4


def hidden(shape: tuple[int, ...]) -> np.ndarray:
    """A mask that leaves about two thirds of the tokens."""
    return np.random.default_rng(5).random(shape) < 0.65


@every_layer
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_outputs_and_losses_are_those_of_a_loop_over_tokens(
    kind, options, masked, training, monkeypatch
):
    fix_draws(monkeypatch)
    layer = prepared(kind(**options), DEPTH)
    # 20 and 7 tokens: neither is a multiple of all numbers of groups, experts and blocks.
    for shape in ((4, 5),) if masked else ((4, 5), (7,), (1,)):
        inputs = draw(*shape, DEPTH)
        mask = hidden(shape) if masked else None
        found = array(layer(inputs, mask=mask, training=training))
        expected = twin(layer, inputs, mask, training)
        np.testing.assert_allclose(
            found.reshape(expected.outputs.shape), expected.outputs, rtol=1e-4, atol=1e-5
        )
        losses = [float(array(loss)) for loss in layer.losses]
        assert sum(losses) == pytest.approx(added(layer, expected) if training else 0, rel=1e-4)
        assert len(losses) == (2 if training else 0)


@pytest.mark.parametrize("name", [name for name in LAYERS if "overflow" in name])
def test_the_cases_of_overflow_drop_some_choices_and_keep_some(name):
    kind, options = LAYERS[name]
    layer = prepared(kind(**options), DEPTH)
    for tokens in ((4, 5), (11,)):
        routed = twin(layer, draw(*tokens, DEPTH), training=True)
        assert 0.1 < routed.dropped / routed.kept.size < 0.8


GRADIENTS = (
    "moe_dropless",
    "moe_overflow_top_4",
    "moe_groups_overflow",
    "moe_quiet",
    "switch_plain",
    "switch_jitter",
    "switch_top_2",
    "switch_groups_overflow",
)


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_the_finite_differences_of_the_twin(name, masked, monkeypatch):
    """In router, experts and inputs, of outputs and losses together; the twin is in float64."""
    fix_draws(monkeypatch)
    kind, options = LAYERS[name]
    layer = prepared(kind(**options), DEPTH, scale=0.5)
    mask = hidden((11,)) if masked else None
    assert_gradients_are_differences(layer, draw(11, DEPTH), mask)


def assert_gradients_are_differences(layer, inputs, mask=None):
    weights = weights_of(layer)
    routed = twin(layer, inputs, mask, training=True)
    direction = draw(*routed.outputs.shape, seed=7)

    def value(at):
        free = {key: x for key, x in at.items() if key != "inputs"}
        there = twin(layer, at["inputs"], mask, training=True, weights=free)
        return float((direction * there.outputs).sum() + added(layer, there))

    found = gradients(layer, inputs, direction, mask)
    at = {**weights, "inputs": inputs.astype("float64")}
    assert found.keys() == at.keys()
    for key in at:
        for way, slope in finite_differences(value, at, key):
            assert slope != 0, key
            scale = np.abs(found[key]).max()
            np.testing.assert_allclose(
                (found[key] * way).sum(), slope, rtol=1e-3, atol=1e-3 * scale, err_msg=key
            )


# --- dropless, whatever the shape and the load ---


@pytest.mark.parametrize("rows", [1, 3, 8, 33, 64])
@pytest.mark.parametrize(("num_experts", "k"), [(2, 2), (16, 3), (9, 4)])
@pytest.mark.parametrize("all_to_one", [False, True])
def test_no_row_is_dropped_however_many_and_wherever_they_go(rows, num_experts, k, all_to_one):
    layer = prepared(MoE(num_experts, (3, 2), top_k=k), DEPTH)
    inputs = concentrated(layer, rows, num_experts - 1) if all_to_one else draw(rows, DEPTH)
    expected = twin(layer, inputs)
    assert expected.kept.all()
    np.testing.assert_allclose(array(layer(inputs)), expected.outputs, rtol=1e-4, atol=1e-5)


UNEVEN = {"moe_dropless": 56, "switch_dropless": 40}  # rows, all of which choose one expert


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_uneven_rows_are_computed_in_blocks_with_the_same_numbers(
    name, masked, training, monkeypatch
):
    fix_draws(monkeypatch)
    kind, options = LAYERS[name]
    layer = prepared(kind(**options), DEPTH)
    inputs = concentrated(layer, UNEVEN[name], expert=2)
    mask = np.arange(len(inputs)) % 9 != 4 if masked else None
    expected = twin(layer, inputs, mask, training)
    assert not in_place(layer, expected)
    found = array(layer(inputs, mask=mask, training=training))
    np.testing.assert_allclose(found, expected.outputs, rtol=1e-4, atol=1e-5)
    losses = sum(float(array(loss)) for loss in layer.losses)
    assert losses == pytest.approx(added(layer, expected) if training else 0, rel=1e-4)


@pytest.mark.parametrize("name", UNEVEN)
def test_gradients_through_blocks_are_the_finite_differences_of_the_twin(name, monkeypatch):
    fix_draws(monkeypatch)
    kind, options = LAYERS[name]
    layer = prepared(kind(**options), DEPTH, scale=0.5)
    inputs = concentrated(layer, UNEVEN[name], expert=2)
    assert not in_place(layer, twin(layer, inputs, training=True))
    assert_gradients_are_differences(layer, inputs)


@pytest.mark.parametrize("capacity_factor", [None, 1.0])
def test_all_experts_are_the_soft_gate(capacity_factor):
    """k = E: a mixture of `Experts` by `Gate`, and no slot is missing."""
    layer = prepared(MoE(4, 3, top_k=4, capacity_factor=capacity_factor, noisy=False), DEPTH)
    experts = Experts(4, 3, activation="linear")
    gate = Gate(4)
    inputs = draw(9, DEPTH)
    experts.build(inputs.shape)
    gate.build(inputs.shape)
    experts.set_weights([array(layer.experts.kernels[0]), array(layer.experts.biases[0])])
    gate.dense[0].kernel.assign(array(layer.gate.kernel)[None])
    mixture = np.einsum("bge,beu->bu", array(gate(inputs)), array(experts(inputs)))
    np.testing.assert_allclose(array(layer(inputs)), mixture, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(layer(inputs, training=True)), mixture, rtol=1e-4, atol=1e-5)


def test_a_switch_without_overflow_is_the_first_choice_times_its_probability():
    layer = prepared(SwitchFFN(5, 6, eval_capacity_factor=5.0), DEPTH)
    inputs = draw(13, DEPTH)
    weights = weights_of(layer)
    outputs = array(layer(inputs))
    for x, output in zip(inputs.astype("float64"), outputs, strict=True):
        probabilities = softmax(x @ weights["router/kernel"])
        i = int(np.argmax(probabilities))
        hidden_units = np.maximum(x @ weights["experts/kernel_0"][i], 0)
        expected = probabilities[i] * (hidden_units @ weights["experts/kernel_1"][i])
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [1, 2])
def test_the_gate_is_applied_exactly_once(k):
    """Experts that copy their input give back the input times the sum of the gates."""
    layer = prepared(SwitchFFN(3, DEPTH, top_k=k, eval_capacity_factor=3.0), DEPTH)
    for kernel in layer.experts.kernels:
        kernel.assign(np.tile(np.eye(DEPTH), (3, 1, 1)))
    inputs = np.abs(draw(9, DEPTH))
    best = np.stack([softmax(h).max() for h in inputs @ weights_of(layer)["router/kernel"]])
    factor = best[:, None] if k == 1 else 1.0
    np.testing.assert_allclose(array(layer(inputs)), factor * inputs, rtol=1e-5)


def test_the_gates_of_two_kept_experts_are_one_together():
    layer = prepared(MoE(4, DEPTH), DEPTH)
    layer.experts.kernels[0].assign(np.tile(np.eye(DEPTH), (4, 1, 1)))
    layer.experts.biases[0].assign(np.zeros((4, DEPTH)))
    inputs = draw(9, DEPTH)
    np.testing.assert_allclose(array(layer(inputs)), inputs, rtol=1e-5)


# --- the paper's fixture, through the whole layer ---


def test_the_noisy_top_k_fixture_of_the_layer(monkeypatch):
    """clean = [1, .5, .2, -.3], std = 1, noise = [.1, -.2, .6, 0]: gates and losses."""
    noise = np.array([[0.1, -0.2, 0.6, 0.0]], "float32")
    monkeypatch.setattr(keras.random, "normal", lambda *_, **__: keras.ops.convert_to_tensor(noise))
    layer = MoE(4, 1, noise_epsilon=1 - np.log(2), importance_loss=1.0, load_loss=1.0)
    layer.build((None, 1))
    layer.gate.kernel.assign([[1.0, 0.5, 0.2, -0.3]])
    layer.experts.kernels[0].assign(np.zeros((4, 1, 1)))
    layer.experts.biases[0].assign([[1.0], [10.0], [100.0], [1000.0]])
    output = float(array(layer(np.ones((1, 1), "float32"), training=True)).item())
    assert output == pytest.approx(0.574443 * 1 + 0.425557 * 100, rel=1e-5)
    importance, load = (float(array(loss)) for loss in layer.losses)
    gates = np.array([0.574443, 0, 0.425557, 0])
    chosen = np.array([0.758036, 0.382089, 0.460172, 0.135666])
    assert importance == pytest.approx(gates.var() / gates.mean() ** 2, rel=1e-4)
    assert load == pytest.approx(chosen.var() / chosen.mean() ** 2, rel=1e-4)


def test_the_switch_balance_fixture_of_the_layer():
    """Probabilities [[.9, .1], [.6, .4], [.7, .3], [.2, .8]] add .011 at weight .01."""
    layer = SwitchFFN(2, 3, jitter=0.0)
    layer.build((None, 4))
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    layer.router.kernel.assign(np.log(probabilities))
    layer(np.eye(4, dtype="float32"), training=True)
    assert float(array(layer.losses[0])) == pytest.approx(0.011, rel=1e-5)


def test_the_twin_of_the_noisy_gate_has_the_papers_gates():
    """The twin itself, once, against the fixture: no test is better than its reference."""
    routed = moe(
        np.ones((1, 1)),
        [[(np.zeros((1, 1)), np.array([10.0**e]))] for e in range(4)],
        np.array([[1.0, 0.5, 0.2, -0.3]]),
        np.zeros((1, 4)),
        np.array([[0.1, -0.2, 0.6, 0.0]]),
        k=2,
        noise_epsilon=1 - np.log(2),
    )
    np.testing.assert_array_equal(routed.experts, [[0, 2]])
    assert routed.outputs.item() == pytest.approx(0.574443 + 42.5557, rel=1e-5)
