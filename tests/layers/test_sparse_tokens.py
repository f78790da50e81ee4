"""Which tokens have a part in what: padding, dropped tokens, one token, none, ties, a bad one."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import MoE, SwitchFFN
from tests.layers.sparse_twins import array, draw, fix_draws, gradients, prepared, twin

DEPTH = 4
LAYERS = {
    "moe": (MoE, {"expert_units": (5, 3)}),
    "moe_capacity": (MoE, {"expert_units": 3, "capacity_factor": 0.7}),
    "moe_groups": (MoE, {"expert_units": 3, "capacity_factor": 0.7, "num_groups": 2}),
    "switch": (SwitchFFN, {"hidden_units": 5, "router_z_loss": 0.1}),
    "switch_top_2": (
        SwitchFFN,
        {"hidden_units": 5, "top_k": 2, "eval_capacity_factor": 0.7, "min_capacity": 1},
    ),
    "switch_groups": (SwitchFFN, {"hidden_units": 5, "num_groups": 3, "min_capacity": 1}),
}
every_layer = pytest.mark.parametrize(("kind", "options"), list(LAYERS.values()), ids=list(LAYERS))


def routed(kind, options):
    return prepared(kind(3, **options), DEPTH)


@every_layer
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("junk", [np.nan, 1e30])
def test_a_hidden_token_changes_neither_outputs_nor_losses(
    kind, options, training, junk, monkeypatch
):
    fix_draws(monkeypatch)
    layer = routed(kind, options)
    mask = np.array([[True, False, True, True], [False, True, True, True]])
    inputs = np.where(mask[..., None], draw(2, 4, DEPTH), 0).astype("float32")
    outputs = array(layer(inputs, mask=mask, training=training))
    losses = [float(array(loss)) for loss in layer.losses]
    spoilt = np.where(mask[..., None], inputs, junk).astype("float32")
    found = array(layer(spoilt, mask=mask, training=training))
    np.testing.assert_array_equal(found, outputs)
    np.testing.assert_array_equal([float(array(loss)) for loss in layer.losses], losses)
    assert np.all(found[~mask] == 0)


@every_layer
def test_a_hidden_token_changes_no_gradient(kind, options, monkeypatch):
    fix_draws(monkeypatch)
    layer = routed(kind, options)
    mask = np.arange(8) % 3 != 1
    inputs = np.where(mask[:, None], draw(8, DEPTH), 0).astype("float32")
    direction = draw(8, layer.compute_output_shape((8, DEPTH))[-1], seed=2)
    expected = gradients(layer, inputs, direction, mask)
    spoilt = np.where(mask[:, None], inputs, np.nan).astype("float32")
    found = gradients(layer, spoilt, direction, mask)
    for name, slope in expected.items():
        np.testing.assert_array_equal(found[name], slope, err_msg=name)
    assert np.all(found["inputs"][~mask] == 0)


@every_layer
def test_padding_takes_no_slots(kind, options):
    """In one group, real tokens before or between padding find the room that they have after it."""
    layer = routed(kind, {**options, "num_groups": 1})
    tokens = draw(6, DEPTH)
    ends = np.concatenate([tokens, draw(6, DEPTH, seed=2)])
    starts = np.concatenate([draw(6, DEPTH, seed=2), tokens])
    last = array(layer(starts, mask=np.arange(12) >= 6))
    np.testing.assert_allclose(
        last[6:], array(layer(ends, mask=np.arange(12) < 6))[:6], rtol=1e-5, atol=1e-6
    )


@every_layer
@pytest.mark.parametrize("training", [False, True])
def test_where_all_tokens_are_hidden_all_is_zero(kind, options, training):
    layer = routed(kind, options)
    mask = np.zeros((2, 3), bool)
    outputs = array(layer(draw(2, 3, DEPTH), mask=mask, training=training))
    np.testing.assert_array_equal(outputs, np.zeros_like(outputs))
    assert all(float(array(loss)) == 0 for loss in layer.losses)
    found = gradients(layer, draw(5, DEPTH), np.float32(1), mask=np.zeros(5, bool))
    assert all(np.all(slope == 0) for slope in found.values())


@every_layer
def test_no_tokens_give_no_outputs(kind, options):
    layer = routed(kind, options)
    for training in (False, True):
        outputs = layer(np.zeros((0, DEPTH), "float32"), training=training)
        assert tuple(outputs.shape) == (0, layer.compute_output_shape((0, DEPTH))[-1])
        assert all(float(array(loss)) == 0 for loss in layer.losses)


@every_layer
def test_one_token(kind, options):
    layer = routed(kind, options)
    inputs = draw(1, DEPTH)
    expected = twin(layer, inputs)
    assert expected.kept.any()
    np.testing.assert_allclose(array(layer(inputs)), expected.outputs, rtol=1e-5, atol=1e-6)
    found = gradients(layer, inputs, np.float32(1))
    assert all(np.all(np.isfinite(slope)) for slope in found.values())


@every_layer
def test_integers_are_the_same_where_floats_have_64_bits(kind, options):
    layer, inputs = routed(kind, options), draw(9, DEPTH)
    outputs = array(layer(inputs))
    keras.config.set_floatx("float64")
    try:
        np.testing.assert_array_equal(array(layer(inputs)), outputs)
    finally:
        keras.config.set_floatx("float32")


@every_layer
def test_a_bad_token_spoils_no_other(kind, options):
    """As in a dense layer, a row of infinities is the trouble of that row."""
    layer = routed(kind, options)
    inputs = draw(9, DEPTH)
    inputs[0] = np.inf
    others = array(layer(inputs))[1:]
    assert np.all(np.isfinite(others))


def test_the_mask_of_an_embedding_reaches_the_layer():
    words = keras.Input((4,), dtype="int32")
    rows = keras.layers.Embedding(5, DEPTH, mask_zero=True, embeddings_initializer="ones")(words)
    layer = SwitchFFN(3, 2)
    model = keras.Model(words, layer(rows))
    outputs = array(model(np.array([[1, 2, 0, 0], [3, 0, 0, 0]])))
    assert np.all(outputs[[0, 0, 1, 1, 1], [2, 3, 1, 2, 3]] == 0)
    assert np.any(outputs[0, :2] != 0)


def test_masks_may_be_numbers():
    layer = routed(*LAYERS["switch"])
    inputs = draw(2, 3, DEPTH)
    mask = np.array([[1, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(
        array(layer(inputs, mask=mask)), array(layer(inputs, mask=mask.astype(bool)))
    )


# --- dropped tokens ---


def test_dropped_tokens_pass_through_the_residual_unchanged():
    layer = SwitchFFN(2, 3, eval_capacity_factor=0.5, min_capacity=1, activation="tanh")
    layer = prepared(layer, DEPTH)
    inputs = draw(12, DEPTH)
    mixed = array(layer(inputs, training=False))
    dropped = np.all(mixed == 0, axis=-1)
    np.testing.assert_array_equal(dropped, ~twin(layer, inputs).kept[:, 0])
    assert 0 < dropped.sum() < 12
    np.testing.assert_array_equal((inputs + mixed)[dropped], inputs[dropped])


def test_a_dropped_token_has_no_gradient_by_the_outputs():
    options = {"capacity_factor": 0.5, "min_capacity": 1, "jitter": 0.0, "balance_loss": 0.0}
    layer = prepared(SwitchFFN(2, 3, activation="tanh", **options), DEPTH)
    inputs = draw(12, DEPTH)
    dropped = ~twin(layer, inputs, training=True).kept[:, 0]
    found = gradients(layer, inputs, draw(12, DEPTH, seed=3))["inputs"]
    assert np.all(found[dropped] == 0)
    assert np.all(np.any(found[~dropped] != 0, axis=-1))


def test_training_and_evaluation_have_their_own_capacities():
    factors = {"capacity_factor": 0.5, "eval_capacity_factor": 1.5, "min_capacity": 1}
    layer = prepared(SwitchFFN(2, 3, activation="tanh", **factors), DEPTH)
    layer.router.kernel.assign(np.zeros((DEPTH, 2)))  # all tokens to expert 0
    inputs = draw(8, DEPTH)
    for training, kept in ((True, 2), (False, 6)):
        outputs = array(layer(inputs, training=training))
        np.testing.assert_array_equal(np.any(outputs != 0, axis=-1), np.arange(8) < kept)


@pytest.mark.parametrize(
    "layer",
    [MoE(8, 3, noisy=False), SwitchFFN(8, 3, eval_capacity_factor=None)],
    ids=["moe", "switch"],
)
def test_without_a_capacity_a_prediction_does_not_depend_on_its_batch(layer):
    prepared(layer, DEPTH)
    inputs = draw(30, DEPTH)
    whole = array(layer(inputs))
    for rows in ([0], [29], [3, 17], list(range(29, -1, -1))):
        np.testing.assert_allclose(array(layer(inputs[rows])), whole[rows], rtol=1e-5, atol=1e-6)


def test_an_expert_has_at_least_the_least_capacity():
    options = {"eval_capacity_factor": 0.01, "min_capacity": 3, "activation": "tanh"}
    layer = prepared(SwitchFFN(8, 3, **options), DEPTH)
    layer.router.kernel.assign(np.zeros((DEPTH, 8)))
    outputs = array(layer(draw(10, DEPTH)))
    np.testing.assert_array_equal(np.any(outputs != 0, axis=-1), np.arange(10) < 3)


# --- ties ---


def test_with_zero_gates_the_first_experts_are_used_at_evaluation():
    layer = MoE(4, 3, seed=0)
    layer.build((None, DEPTH))
    inputs = draw(6, DEPTH)
    assert np.all(array(layer.gate.kernel) == 0)
    kernels = array(layer.experts.kernels[0])
    expected = inputs @ (kernels[0] + kernels[1]) / 2
    for _ in range(2):
        np.testing.assert_allclose(array(layer(inputs)), expected, rtol=1e-4, atol=1e-6)


def test_equal_probabilities_choose_the_lower_index():
    layer = prepared(SwitchFFN(4, 3, eval_capacity_factor=4.0), 2)
    layer.router.kernel.assign([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 2.0, 2.0]])
    inputs = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], "float32")
    experts = twin(layer, inputs).experts[:, 0]
    np.testing.assert_array_equal(experts, [1, 0, 2, 0])
    np.testing.assert_allclose(
        array(layer(inputs)), twin(layer, inputs).outputs, rtol=1e-5, atol=1e-6
    )
