"""What sparse layers refuse, and what their configuration keeps."""

import json

import keras
import numpy as np
import pytest

from keras_mtl.layers import MoE, SwitchFFN
from tests.layers.sparse_twins import array, draw

NOT_AN_INTEGER = [0, -1, 1.5, "2", None, True]


def test_one_expert_a_row_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="the gate would have no gradient") as error:
        MoE(4, 3, top_k=1)
    for part in ("`top_k` must be in [2, num_experts]", "`SwitchFFN`", "top_k=1, num_experts=4"):
        assert part in str(error.value)


@pytest.mark.parametrize("top_k", [0, -1, 5, 2.0, "2", None])
def test_moe_refuses_numbers_of_choices_out_of_range(top_k):
    with pytest.raises(ValueError, match=r"`top_k` must be in \[2, num_experts\]") as error:
        MoE(4, 3, top_k=top_k)
    assert f"Received: top_k={top_k!r}, num_experts=4" in str(error.value)


@pytest.mark.parametrize("top_k", [0, -1, 5, 1.0, "1", None, True])
def test_switch_refuses_numbers_of_choices_out_of_range(top_k):
    with pytest.raises(ValueError, match=r"`top_k` must be in \[1, num_experts\]") as error:
        SwitchFFN(4, 3, top_k=top_k)
    assert f"Received: top_k={top_k!r}, num_experts=4" in str(error.value)


def test_one_expert_is_too_few_for_moe():
    with pytest.raises(ValueError, match=r"`top_k` must be in \[2, num_experts\]"):
        MoE(1, 3)


FACTORS = [0, 0.0, -0.5, float("nan"), float("inf"), "1", True]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize(
    ("kind", "name"),
    [(MoE, "capacity_factor"), (SwitchFFN, "capacity_factor"), (SwitchFFN, "eval_capacity_factor")],
)
def test_capacity_factors_are_positive_numbers(kind, name, factor):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be") as error:
        kind(4, 3, **{name: factor})
    assert f"Received: {name}={factor!r}" in str(error.value)


@pytest.mark.parametrize("value", NOT_AN_INTEGER)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (MoE, "num_experts"),
        (MoE, "expert_units"),
        (MoE, "num_groups"),
        (SwitchFFN, "num_experts"),
        (SwitchFFN, "hidden_units"),
        (SwitchFFN, "num_groups"),
        (SwitchFFN, "min_capacity"),
    ],
)
def test_sizes_are_positive_integers(kind, name, value):
    width = "expert_units" if kind is MoE else "hidden_units"
    with pytest.raises(ValueError, match=f"Argument `{name}` must be") as error:
        kind(**{"num_experts": 4, width: 3, name: value})
    assert f"Received: {name}={value!r}" in str(error.value)


@pytest.mark.parametrize("value", [-0.1, 1.0, 2, "0.1", None, float("nan")])
@pytest.mark.parametrize(
    ("kind", "name"),
    [(SwitchFFN, "jitter"), (SwitchFFN, "expert_dropout"), (MoE, "expert_dropout")],
)
def test_rates_lie_between_zero_and_one(kind, name, value):
    with pytest.raises(ValueError, match=rf"Argument `{name}` must be in \[0, 1\)") as error:
        kind(4, 3, **{name: value})
    assert f"Received: {name}={value!r}" in str(error.value)


@pytest.mark.parametrize("value", ["1", None, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (MoE, "importance_loss"),
        (MoE, "load_loss"),
        (MoE, "noise_epsilon"),
        (SwitchFFN, "balance_loss"),
        (SwitchFFN, "router_z_loss"),
    ],
)
def test_weights_of_losses_are_finite_numbers(kind, name, value):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be") as error:
        kind(4, 3, **{name: value})
    assert f"Received: {name}={value!r}" in str(error.value)


def test_a_negative_deviation_of_the_noise_is_refused():
    with pytest.raises(ValueError, match="`noise_epsilon`"):
        MoE(4, 3, noise_epsilon=-1.0)


@pytest.mark.parametrize("kind", [MoE, SwitchFFN])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", "rulu"),
        ("kernel_initializer", "glorrot"),
        ("kernel_regularizer", "l3"),
        ("use_bias", 1),
        ("seed", 0.5),
    ],
)
def test_other_arguments_are_checked_early(kind, name, value):
    with pytest.raises(ValueError, match=f"Argument `{name}` must be") as error:
        kind(4, 3, **{name: value})
    assert "Received: " in str(error.value)


CASES = [
    MoE(
        4,
        (5, 3),
        top_k=3,
        capacity_factor=0.5,
        num_groups=2,
        activation="gelu",
        output_activation="sigmoid",
        use_bias=False,
        noise_epsilon=0.2,
        importance_loss=0.3,
        load_loss=0.4,
        expert_dropout=0.2,
        kernel_initializer=keras.initializers.HeNormal(3),
        gate_initializer=keras.initializers.RandomNormal(seed=1),
        kernel_regularizer="l2",
        seed=9,
        name="mixture",
        dtype="mixed_bfloat16",
    ),
    MoE(4, 3, noisy=False),
    MoE(4, 3),
    SwitchFFN(
        4,
        5,
        top_k=2,
        capacity_factor=0.5,
        eval_capacity_factor=0.7,
        min_capacity=1,
        num_groups=2,
        activation="tanh",
        use_bias=True,
        jitter=0.1,
        expert_dropout=0.4,
        balance_loss=0.2,
        router_z_loss=0.3,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L1(0.5),
        seed=4,
    ),
    SwitchFFN(4, 5),
    SwitchFFN(4, 5, capacity_factor=None, eval_capacity_factor=None),
]


@pytest.mark.parametrize(
    "layer", CASES, ids=["moe_all", "quiet", "moe", "switch_all", "switch", "dropless"]
)
def test_the_configuration_holds_every_argument(layer):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(config)
    assert json.dumps(again.get_config()) == json.dumps(layer.get_config())
    layer.build((None, 6))
    again.build((None, 6))
    if layer.seed is None:
        again.set_weights(layer.get_weights())
    inputs = draw(9, 6)
    np.testing.assert_array_equal(array(again(inputs)), array(layer(inputs)))
    if layer.seed is not None:
        once, twice = (array(one(inputs, training=True)) for one in (layer, again))
        np.testing.assert_array_equal(once, twice)
