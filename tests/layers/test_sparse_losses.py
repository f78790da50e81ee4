"""What keeps experts in balance: whom the losses move, what they count, when they are added."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import MoE, SwitchFFN
from tests.layers.sparse_twins import added, array, draw, fix_draws, gradients, prepared, twin

DEPTH = 4
OFF = {"importance_loss": 0.0, "load_loss": 0.0}
SWITCH_OFF = {"balance_loss": 0.0, "router_z_loss": 0.0}
# Loss, how the layer is made, and which weights the loss moves.
LOSSES = {
    "importance_loss": (MoE, {"expert_units": 3, **OFF}, {"gate/kernel", "noise_gate/kernel"}),
    "load_loss": (MoE, {"expert_units": 3, **OFF}, {"gate/kernel", "noise_gate/kernel"}),
    "balance_loss": (SwitchFFN, {"hidden_units": 3, **SWITCH_OFF}, {"router/kernel"}),
    "router_z_loss": (SwitchFFN, {"hidden_units": 3, **SWITCH_OFF}, {"router/kernel"}),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_moves_the_router_and_no_expert(loss):
    kind, options, moved = LOSSES[loss]
    layer = prepared(kind(4, **{**options, loss: 1.0}), DEPTH)
    found = gradients(layer, draw(12, DEPTH), direction=None)
    assert {name for name, slope in found.items() if np.any(slope != 0)} == {*moved, "inputs"}


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_moves_the_router_where_the_layer_starts(loss):
    """Zero gates and all: the gradient is there from the first step."""
    kind, options, moved = LOSSES[loss]
    layer = kind(4, **{**options, loss: 1.0}, seed=0)
    layer.build((None, DEPTH))
    found = gradients(layer, draw(12, DEPTH), direction=None)
    assert all(np.any(found[name] != 0) for name in moved)


def test_the_load_loss_trains_the_scale_of_the_noise_that_outputs_reach_only_by_the_gates():
    """With experts that are all alike, outputs do not depend on the gate; the load loss does."""
    layer = prepared(MoE(4, 3, load_loss=1.0, importance_loss=0.0), DEPTH)
    inputs = draw(12, DEPTH)
    by_load = gradients(layer, inputs, direction=None)["noise_gate/kernel"]
    layer.load_loss = 0.0
    for weight in (layer.experts.kernels[0], layer.experts.biases[0]):
        weight.assign(np.broadcast_to(array(weight)[:1], weight.shape))
    by_outputs = gradients(layer, inputs, draw(12, 3))["noise_gate/kernel"]
    assert np.abs(by_load).max() > 1e-3
    assert np.abs(by_outputs).max() < 1e-5


@pytest.mark.parametrize("options", [{"noisy": False}, {"top_k": 4}], ids=["quiet", "k=E"])
def test_counted_loads_have_no_gradient(options):
    layer = prepared(MoE(4, 3, importance_loss=0.0, load_loss=1.0, **options), DEPTH)
    found = gradients(layer, draw(12, DEPTH), direction=None)
    assert all(np.all(slope == 0) for slope in found.values())


def test_training_with_the_balance_loss_alone_spreads_the_tokens():
    """A router that sends all tokens to one expert is cured."""
    inputs = draw(64, DEPTH)
    tokens = keras.Input((DEPTH,))
    layer = SwitchFFN(4, 3, balance_loss=1.0, jitter=0.0)
    model = keras.Model(tokens, keras.layers.Rescaling(0.0)(layer(tokens)))
    layer.router.kernel.assign(np.eye(4) * 0.1)
    inputs[:, 0] += 3.0
    before = twin(layer, inputs).load
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(inputs, np.zeros((64, DEPTH)), batch_size=64, epochs=60, verbose=0)
    after = twin(layer, inputs).load
    assert before.max() > 45
    assert after.max() < 30


# --- what they count ---


def test_dropped_tokens_count_for_the_expert_they_chose_and_not_for_the_first():
    """All tokens choose expert 2 of 3, one has room: f = [0, 0, 1]."""
    layer = SwitchFFN(3, 2, capacity_factor=0.01, min_capacity=1, jitter=0.0, balance_loss=1.0)
    layer.build((None, 1))
    layer.router.kernel.assign([[0.0, 1.0, 2.0]])
    layer(np.ones((6, 1), "float32"), training=True)
    powers = np.exp([0.0, 1.0, 2.0])
    assert float(array(layer.losses[0])) == pytest.approx(3 * powers[2] / powers.sum(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_a_batch_with_padding_is_that_of_its_real_tokens(loss, monkeypatch):
    fix_draws(monkeypatch)
    kind, options, _ = LOSSES[loss]
    layer = prepared(kind(4, **{**options, loss: 1.0}), DEPTH)
    inputs = draw(9, DEPTH)
    layer(inputs[:6], training=True)
    (alone,) = (float(array(value)) for value in layer.losses)
    layer(inputs, mask=np.arange(9) < 6, training=True)
    (masked,) = (float(array(value)) for value in layer.losses)
    layer(inputs, training=True)
    (whole,) = (float(array(value)) for value in layer.losses)
    assert masked == pytest.approx(alone, rel=1e-5)
    assert abs(whole - alone) > 1e-3 * alone


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("num_groups", [2, 3])
def test_the_loss_of_groups_is_the_mean_of_theirs(loss, num_groups, monkeypatch):
    fix_draws(monkeypatch)
    kind, options, _ = LOSSES[loss]
    options = {**options, "noisy": False} if kind is MoE else {**options, "jitter": 0.0}
    layer = prepared(kind(4, num_groups=num_groups, **{**options, loss: 1.0}), DEPTH)
    one = prepared(kind(4, **{**options, loss: 1.0}), DEPTH)
    inputs = draw(12, DEPTH)
    layer(inputs, training=True)
    alone = []
    for part in np.split(inputs, num_groups):
        one(part, training=True)
        alone.append(float(array(one.losses[0])))
    assert float(array(layer.losses[0])) == pytest.approx(np.mean(alone), rel=1e-5)


# --- when ---


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_added_while_training_only_and_not_with_weight_zero(loss):
    kind, options, _ = LOSSES[loss]
    layer = prepared(kind(4, **{**options, loss: 1.0}), DEPTH)
    layer(draw(6, DEPTH))
    assert layer.losses == []
    layer(draw(6, DEPTH), training=True)
    assert len(layer.losses) == 1
    silent = prepared(kind(4, **options), DEPTH)
    silent(draw(6, DEPTH), training=True)
    assert silent.losses == []


def test_the_penalty_of_kernels_is_the_sum_over_experts():
    layer = prepared(
        SwitchFFN(3, 2, kernel_regularizer=keras.regularizers.L2(0.1), **SWITCH_OFF), DEPTH
    )
    squares = sum(np.square(array(kernel)).sum() for kernel in layer.experts.kernels)
    layer(draw(6, DEPTH))
    assert sum(float(array(loss)) for loss in layer.losses) == pytest.approx(
        0.1 * squares, rel=1e-5
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_float32_under_every_policy(loss, policy, monkeypatch):
    fix_draws(monkeypatch)
    kind, options, _ = LOSSES[loss]
    layer = prepared(kind(4, dtype=policy, **{**options, loss: 1.0}), DEPTH)
    inputs = array(keras.ops.cast(draw(32, DEPTH), "bfloat16")).astype("float32")
    layer(inputs, training=True)
    (found,) = layer.losses
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    expected = added(layer, twin(layer, inputs, training=True))
    assert float(array(found)) == pytest.approx(expected, rel=1e-5)
