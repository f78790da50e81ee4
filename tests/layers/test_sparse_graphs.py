"""Sparse layers in graphs: unknown sizes, XLA, mixed precision, saved and exported models."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task
from keras_mtl.layers import MoE, SwitchFFN
from tests.layers.sparse_twins import (
    array,
    concentrated,
    draw,
    fix_draws,
    in_place,
    prepared,
    twin,
)

DEPTH = 4
LAYERS = {
    "moe": lambda **kw: MoE(5, (6, DEPTH), **kw),
    "moe_top_4": lambda **kw: MoE(6, DEPTH, top_k=4, **kw),
    "moe_capacity": lambda **kw: MoE(4, DEPTH, capacity_factor=0.8, num_groups=2, **kw),
    "switch": lambda **kw: SwitchFFN(4, 5, min_capacity=2, **kw),
    "switch_top_2": lambda **kw: SwitchFFN(
        4, 5, top_k=2, eval_capacity_factor=0.7, min_capacity=1, num_groups=3, use_bias=True, **kw
    ),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
QUICK = ("moe_capacity", "switch_top_2")  # the rest of what compiles or trains is slow
most_slow = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for name, make in LAYERS.items()
    ],
)
tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="graphs of TensorFlow"
)


def traced(layer, jit_compile=None):
    """Evaluation as one graph for any number of rows; and how often it was traced."""
    import tensorflow as tf

    traces = []

    @tf.function(
        jit_compile=jit_compile,
        input_signature=[tf.TensorSpec((None, DEPTH)), tf.TensorSpec((None,), tf.bool)],
    )
    def function(rows, mask):
        traces.append(1)
        return layer(rows, mask=mask)

    return function, traces


@tensorflow_only
@every_layer
def test_one_graph_serves_every_number_of_rows(make):
    layer = prepared(make(), DEPTH)
    function, traces = traced(layer)
    for rows in (9, 1, 0, 2, 128, 13):
        # The most rows all go to one expert.
        inputs = concentrated(layer, rows) if rows == 128 else draw(rows, DEPTH)
        mask = np.arange(rows) % 4 != 1
        expected = twin(layer, inputs, mask) if rows else None
        if rows == 128 and make is LAYERS["moe"]:
            assert not in_place(layer, expected)
        outputs = expected.outputs if rows else np.zeros((0, DEPTH))
        np.testing.assert_allclose(array(function(inputs, mask)), outputs, rtol=1e-4, atol=1e-5)
    assert len(traces) == 1


@tensorflow_only
@every_layer
def test_a_graph_of_unknown_sequences_keeps_their_shape(make):
    import tensorflow as tf

    layer = prepared(make(), DEPTH)
    function = tf.function(layer, input_signature=[tf.TensorSpec((None, None, DEPTH))])
    for shape in ((2, 3), (5, 1), (1, 7)):
        outputs = function(draw(*shape, DEPTH))
        assert tuple(outputs.shape) == (*shape, DEPTH)
        np.testing.assert_allclose(
            array(outputs), array(layer(draw(*shape, DEPTH))), rtol=1e-4, atol=1e-5
        )


@tensorflow_only
@most_slow
@pytest.mark.parametrize("rows", [pytest.param(1, marks=pytest.mark.slow), 13])
def test_xla_gives_the_same_outputs_losses_and_gradients(make, rows, monkeypatch):
    fix_draws(monkeypatch)
    layer = prepared(make(), DEPTH)
    assert_xla_gives_the_same(layer, draw(rows, DEPTH), np.arange(rows) % 4 != 1)


@tensorflow_only
def test_xla_gives_the_same_in_blocks(monkeypatch):
    fix_draws(monkeypatch)
    layer = prepared(LAYERS["moe"](), DEPTH)
    inputs, mask = concentrated(layer, 64), np.arange(64) % 9 != 4
    assert not in_place(layer, twin(layer, inputs, mask, training=True))
    assert_xla_gives_the_same(layer, inputs, mask)


def assert_xla_gives_the_same(layer, rows, shown):
    import tensorflow as tf

    inputs, mask = tf.constant(rows), tf.constant(shown)

    def step():
        with tf.GradientTape() as tape:
            outputs = layer(inputs, mask=mask, training=True)
            total = tf.reduce_sum(outputs**2) + sum(layer.losses)
        weights = [weight.value for weight in layer.trainable_variables]
        return outputs, total, tape.gradient(total, weights, unconnected_gradients="zero")

    plain = tf.nest.flatten(step())
    compiled = tf.nest.flatten(tf.function(step, jit_compile=True)())
    for one, other in zip(plain, compiled, strict=True):
        scale = float(np.abs(array(one)).max())
        np.testing.assert_allclose(array(other), array(one), rtol=1e-4, atol=1e-5 * scale + 1e-7)


@most_slow
@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_fit_moves_every_weight(make, jit_compile):
    inputs = keras.Input((3, DEPTH))
    layer = make(seed=1)
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    before = [array(weight).copy() for weight in layer.trainable_weights]
    model.fit(draw(12, 3, DEPTH), draw(12, 3, DEPTH, seed=2), batch_size=4, epochs=3, verbose=0)
    for weight, value in zip(layer.trainable_weights, before, strict=True):
        now = array(weight)
        assert np.all(np.isfinite(now))
        assert np.any(now != value), weight.path


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.Adam,
        keras.optimizers.Adagrad,
        lambda r: keras.optimizers.SGD(r, clipnorm=0.1),
    ],
    ids=["adam", "adagrad", "clipped"],
)
def test_an_optimizer_moves_dropless_experts_as_it_moves_others(optimizer):
    """Of an expert with several blocks it must see one gradient, their sum."""
    moved = []
    for factor in (None, 9.0):  # room for all
        inputs = keras.Input((DEPTH,))
        layer = MoE(6, (6, DEPTH), capacity_factor=factor, noisy=False, seed=1)
        model = keras.Model(inputs, layer(inputs))
        model.compile(optimizer(0.1), "mse")
        rows, targets = concentrated(layer, 96), draw(96, DEPTH, seed=2)
        assert not in_place(layer, twin(layer, rows[:48]))
        model.fit(rows, targets, batch_size=48, shuffle=False, verbose=0)
        moved.append([array(weight) for weight in layer.trainable_weights])
    for one, other in zip(*moved, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@most_slow
def test_a_step_of_training_lowers_the_loss(make):
    """A layer whose gradients were wrong would not learn to copy."""
    inputs = keras.Input((DEPTH,))
    model = keras.Model(inputs, make(seed=1)(inputs) + inputs)
    model.compile(keras.optimizers.Adam(0.02), "mse")
    rows = draw(48, DEPTH)
    losses = model.fit(rows, np.tanh(2 * rows), batch_size=48, epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


# --- precision ---


@every_layer
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_half_precision_keeps_the_router_in_float32(make, policy):
    layer = prepared(make(dtype=policy), DEPTH)
    scores = layer.gate if isinstance(layer, MoE) else layer.router
    assert scores.compute_dtype == scores.kernel.dtype == "float32"
    half = keras.ops.cast(draw(11, DEPTH), layer.compute_dtype)
    for training in (False, True):
        outputs = layer(half, training=training)
        assert keras.backend.standardize_dtype(outputs.dtype) == layer.compute_dtype
        assert np.all(np.isfinite(array(outputs)))
    expected = twin(layer, array(half)).outputs
    tolerance = 0.05 * np.abs(expected).max()
    np.testing.assert_allclose(array(layer(half)), expected, atol=tolerance)


@every_layer
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_symbolic_outputs_have_the_shape_and_dtype_of_eager_ones(make, policy):
    layer = make(dtype=policy)
    symbolic = layer(keras.KerasTensor((None, 3, DEPTH)))
    eager = layer(draw(2, 3, DEPTH))
    assert symbolic.shape == (None, 3, DEPTH)
    assert symbolic.dtype == keras.backend.standardize_dtype(eager.dtype)


def test_scores_that_half_precision_cannot_tell_apart_are_told_apart():
    layer = prepared(SwitchFFN(2, 16, dtype="mixed_bfloat16"), 1)
    layer.router.kernel.assign([[1.0, 1.0001]])
    outputs = array(layer(np.ones((1, 1), "float32")))
    other = array(layer(-np.ones((1, 1), "float32")))
    expected = [twin(layer, sign * np.ones((1, 1))) for sign in (1, -1)]
    assert [routed.experts.item() for routed in expected] == [1, 0]
    found = np.concatenate([outputs, other])
    wanted = np.concatenate([routed.outputs for routed in expected])
    np.testing.assert_allclose(found, wanted, atol=0.01)


# --- files ---


def sparse_model() -> MultiTaskModel:
    features = keras.Input((DEPTH,), name="features")
    x = MoE(4, DEPTH, seed=1, name="mixture")(features)
    x = x + SwitchFFN(4, 6, jitter=0.2, expert_dropout=0.3, seed=2, name="switch")(x)
    outputs = {"click": keras.layers.Dense(1, activation="sigmoid")(x)}
    model = MultiTaskModel(inputs=features, outputs=outputs, tasks=[Task("click")])
    model.compile("adam")
    rows = draw(32, DEPTH)
    model.fit(rows, {"click": rows[:, 0] > 0}, batch_size=16, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    return sparse_model()


def test_a_saved_model_loads_with_equal_outputs_and_goes_on_equally(trained, tmp_path):
    trained.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    rows = draw(7, DEPTH, seed=3)
    np.testing.assert_array_equal(array(loaded(rows)["click"]), array(trained(rows)["click"]))
    fits = {"batch_size": 7, "shuffle": False, "verbose": 0}
    labels = {"click": rows[:, 1] > 0}
    copies = [keras.saving.load_model(tmp_path / "model.keras") for _ in range(2)]
    first, second = (model.fit(rows, labels, **fits).history for model in copies)
    assert first == second


@tensorflow_only
def test_an_exported_model_draws_nothing(trained, tmp_path):
    import tensorflow as tf

    trained.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    equal = np.tile(draw(1, DEPTH), (100, 1))  # all choose the same experts, in blocks
    for inputs in (*(draw(rows, DEPTH, seed=3) for rows in (1, 5, 33)), equal):
        first, second = (served(features=tf.constant(inputs))["click"] for _ in range(2))
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, trained(inputs)["click"], rtol=1e-5, atol=1e-6)
    names = {
        node.op
        for function in served.graph.as_graph_def().library.function
        for node in function.node_def
    }
    assert not [name for name in names if "Random" in name]
