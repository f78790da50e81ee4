"""What sparse layers draw: noise, jitter, dropout, first weights; when, and seeded how."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import MoE, SwitchFFN
from keras_mtl.layers.jitter import jitter_factors
from tests.layers.sparse_twins import array, draw, prepared, weights_of

DEPTH = 4


def times(layer, inputs, count=3, training=True) -> list[np.ndarray]:
    return [array(layer(inputs, training=training)) for _ in range(count)]


NOISY = {
    "moe_noise": lambda **kw: MoE(6, 3, **kw),
    "switch_jitter": lambda **kw: SwitchFFN(6, 3, capacity_factor=6.0, jitter=0.3, **kw),
    "moe_dropout": lambda **kw: MoE(3, (8, 3), noisy=False, expert_dropout=0.5, **kw),
    "switch_dropout": lambda **kw: SwitchFFN(3, 8, jitter=0.0, expert_dropout=0.5, **kw),
}


@pytest.mark.parametrize("name", NOISY)
def test_training_draws_anew_each_call_and_evaluation_never(name):
    layer = prepared(NOISY[name](seed=3), DEPTH)
    inputs = draw(16, DEPTH)
    first, second, third = times(layer, inputs)
    assert np.any(first != second)
    assert np.any(second != third)
    evaluated = times(layer, inputs, training=False)
    for again in (*evaluated[1:], array(layer(inputs))):
        np.testing.assert_array_equal(again, evaluated[0])
    factor = getattr(layer, "eval_capacity_factor", None)
    assert factor is None or factor == 2.0


@pytest.mark.parametrize("name", NOISY)
def test_a_seed_repeats_weights_and_draws(name):
    inputs = draw(16, DEPTH)
    layers = [NOISY[name](seed=seed) for seed in (3, 3, 4)]
    outputs = [times(layer, inputs) for layer in layers]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.any(outputs[0][0] != outputs[2][0])
    weights = [weights_of(layer) for layer in layers]
    for key, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][key])
        if key.startswith("experts/kernel"):
            assert np.all(value != weights[2][key])


@pytest.mark.parametrize("name", NOISY)
def test_layers_without_a_seed_differ(name):
    inputs = draw(16, DEPTH)
    first, second = (times(NOISY[name](), inputs, 1)[0] for _ in range(2))
    assert np.any(first != second)


@pytest.mark.parametrize(
    "layer",
    [MoE(4, 3, noisy=False), SwitchFFN(4, 3, jitter=0.0)],
    ids=["moe", "switch"],
)
def test_a_layer_without_noise_owns_no_state_of_draws(layer):
    prepared(layer, DEPTH)
    assert layer.non_trainable_variables == []
    first, second = times(layer, draw(8, DEPTH), 2)
    np.testing.assert_array_equal(first, second)


# --- noise ---


def test_noise_of_the_first_step_spreads_the_rows_evenly():
    """Gates start at zero: no signal and some noise."""
    layer = MoE(8, 3, seed=0, importance_loss=1.0, load_loss=1.0)
    layer.build((None, DEPTH))
    assert np.all(array(layer.gate.kernel) == 0)
    assert np.all(array(layer.noise_gate.kernel) == 0)
    inputs = draw(2000, DEPTH)
    layer.experts.kernels[0].assign(np.zeros((8, DEPTH, 3)))
    layer.experts.biases[0].assign(np.eye(8)[:, :3])
    outputs = array(layer(inputs, training=True))  # what three of the experts have of the gates
    np.testing.assert_allclose((outputs > 0).mean(0), 2 / 8, atol=0.04)
    assert max(float(array(loss)) for loss in layer.losses) < 0.02


def test_the_noise_has_the_deviation_of_the_noise_gate():
    """Noise of deviation 0 at the least: the choices of evaluation."""
    layer = prepared(MoE(6, 3, noise_epsilon=0.0), 2)
    inputs = np.ones((200, 2), "float32")
    layer.noise_gate.kernel.assign(np.full((2, 6), -40.0))
    np.testing.assert_allclose(
        array(layer(inputs, training=True)), array(layer(inputs)), rtol=1e-5, atol=1e-6
    )
    layer.noise_gate.kernel.assign(np.full((2, 6), 4.0))
    assert len(np.unique(array(layer(inputs, training=True)), axis=0)) > 100


# --- jitter ---


def test_experts_see_the_input_without_jitter():
    """Outputs with jitter are those without times one factor a token, its probability."""
    layer = prepared(SwitchFFN(2, 8, jitter=0.4, capacity_factor=2.0), DEPTH, scale=0.3)
    layer.experts.kernels[0].assign(np.tile(array(layer.experts.kernels[0])[:1], (2, 1, 1)))
    layer.experts.kernels[1].assign(np.tile(array(layer.experts.kernels[1])[:1], (2, 1, 1)))
    inputs = draw(20, DEPTH)
    ratios = array(layer(inputs, training=True)) / array(layer(inputs))
    np.testing.assert_allclose(ratios, np.tile(ratios[:, :1], (1, DEPTH)), rtol=1e-3)
    assert np.std(ratios[:, 0]) > 1e-3


def test_jitter_multiplies_the_routers_input_within_its_bounds():
    layer = SwitchFFN(2, 1, jitter=0.25, capacity_factor=2.0, balance_loss=0.0, router_z_loss=1.0)
    layer.build((None, 1))
    layer.router.kernel.assign([[1.0, -1e4]])  # logsumexp is the router's input
    inputs = np.full((1, 1), 3.0, "float32")
    found = []
    for _ in range(60):
        layer(inputs, training=True)
        found.append(float(array(layer.losses[0])) ** 0.5 / 3)
    assert 0.75 <= min(found) < 0.8
    assert 1.2 < max(found) <= 1.25
    layer(np.zeros((1, 1), "float32"), training=True)
    assert float(array(layer.losses[0])) == pytest.approx(np.log(2) ** 2, rel=1e-5)


@pytest.mark.parametrize("depth", [1, 4, 6, 7])
def test_factors_are_even_over_their_steps_and_independent(depth):
    rows, jitter = 20_000 // depth, 0.01
    found = array(jitter_factors((rows, depth), jitter, keras.random.SeedGenerator(3)))
    assert found.shape == (rows, depth)
    steps = (found - (1 - jitter)) / (2 * jitter) * 255
    np.testing.assert_allclose(steps, np.round(steps), atol=2e-3)
    counts = np.bincount(np.round(steps).astype(int).ravel(), minlength=256)
    assert len(counts) == 256
    even = rows * depth / 256
    assert ((counts - even) ** 2 / even).sum() < 255 + 5 * np.sqrt(2 * 255)  # chi squared
    # Bytes of one number and of two numbers have nothing to do with each other.
    columns = [found[:, i] for i in range(depth)] + [np.roll(found[:, 0], 1)]
    correlations = np.corrcoef(columns) - np.eye(depth + 1)
    assert np.abs(correlations).max() < 5 / np.sqrt(rows)


def test_factors_of_no_rows_are_none():
    assert jitter_factors((0, 3), 0.1, keras.random.SeedGenerator(3)).shape == (0, 3)


# --- expert dropout ---


@pytest.mark.parametrize("kind", ["moe", "switch"])
def test_expert_dropout_drops_hidden_units_only(kind):
    """Outputs are numbers of units that were kept, so neither inputs nor outputs were dropped."""
    units, rate = 200, 0.4
    if kind == "moe":
        layer = MoE(2, (units, 1), noisy=False, expert_dropout=rate, use_bias=False)
    else:
        layer = SwitchFFN(2, units, jitter=0.0, expert_dropout=rate, capacity_factor=2.0)
    layer.build((None, 1))
    for kernel in layer.experts.kernels:
        kernel.assign(np.ones(kernel.shape))
    scores = layer.gate if kind == "moe" else layer.router
    scores.kernel.assign([[50.0, 0.0]])  # one expert with weight 1
    inputs = np.ones((400, 1), "float32")
    np.testing.assert_allclose(array(layer(inputs)), np.full((400, 1), units), rtol=1e-6)
    kept = array(layer(inputs, training=True)) * (1 - rate)
    np.testing.assert_allclose(kept, np.round(kept), atol=1e-2)
    deviation = np.sqrt(units * rate * (1 - rate))
    assert kept.mean() == pytest.approx(units * (1 - rate), abs=5 * deviation / 20)
    assert kept.std() == pytest.approx(deviation, rel=0.2)


def test_experts_of_one_layer_have_no_hidden_units_to_drop():
    layer = prepared(MoE(3, 2, noisy=False, expert_dropout=0.9), DEPTH)
    inputs = draw(6, DEPTH)
    np.testing.assert_array_equal(array(layer(inputs, training=True)), array(layer(inputs)))


def test_weights_trained_without_dropout_load_into_a_layer_with_it(tmp_path):
    def model(rate):
        tokens = keras.Input((DEPTH,))
        return keras.Model(tokens, SwitchFFN(3, 5, expert_dropout=rate, name="ffn")(tokens))

    trained, tuned = model(0.0), model(0.4)
    trained.save_weights(tmp_path / "w.weights.h5")
    tuned.load_weights(tmp_path / "w.weights.h5", skip_mismatch=True)
    inputs = draw(6, DEPTH)
    np.testing.assert_array_equal(array(tuned(inputs)), array(trained(inputs)))


# --- first weights ---


@pytest.mark.parametrize("seed", [None, 5])
def test_a_switch_starts_at_a_tenth_of_the_usual_variance(seed):
    layer = SwitchFFN(6, 120, seed=seed)
    layer.build((None, 80))
    for kernel, fan_in in ((layer.experts.kernels[0], 80), (layer.experts.kernels[1], 120)):
        for one in array(kernel):
            assert one.var() == pytest.approx(0.1 / fan_in, rel=0.06)
            # Truncated at two deviations of the untruncated normal, which is 1/0.8796 as wide.
            assert np.abs(one).max() <= 2.0001 * np.sqrt(0.1 / fan_in) / 0.87962566
    assert array(layer.router.kernel).var() == pytest.approx(0.1 / 80, rel=0.2)


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(
    "initializer",
    [keras.initializers.HeNormal(seed=2), keras.initializers.RandomNormal(seed=2), "he_normal"],
    ids=["scaled", "normal", "name"],
)
def test_one_initializer_gives_every_kernel_and_the_router_values_of_their_own(initializer, seed):
    switch = SwitchFFN(4, 4, kernel_initializer=initializer, seed=seed)
    mixture = MoE(
        4, (4, 4), kernel_initializer=initializer, gate_initializer=initializer, seed=seed
    )
    for layer in (switch, mixture):
        layer.build((None, 4))
        scores = layer.router if layer is switch else layer.gate
        drawn = [array(scores.kernel), *array(layer.experts.kernels[0])]
        drawn += [*array(layer.experts.kernels[1])]
        for index, one in enumerate(drawn):
            for other in drawn[:index]:
                assert not np.any(np.isclose(one, other, rtol=1e-6, atol=0))
                assert not np.any(np.isin(one, other))


def test_a_seeded_initializer_seeds_the_layer():
    layers = [SwitchFFN(3, 4, kernel_initializer=keras.initializers.HeNormal(2)) for _ in range(2)]
    for layer in layers:
        layer.build((None, 4))
    for key, value in weights_of(layers[0]).items():
        np.testing.assert_array_equal(value, weights_of(layers[1])[key])


def test_without_noise_the_gate_starts_with_values_of_its_own():
    layer = MoE(4, 3, noisy=False)
    layer.build((None, DEPTH))
    assert len(np.unique(array(layer.gate.kernel))) == 4 * DEPTH
