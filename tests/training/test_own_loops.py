"""A `train_step` or a loop of one's own trains as `fit` does; so do gradients that add up."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, Task, zoo
from keras_mtl.layers import TaskOutput
from tests.training.own_loops import Guide, Logging

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="a loop in TensorFlow's words"
)

ROWS = 32
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4)).astype("float32")
TASKS = [
    Task("click", class_weight={1: 2.0}),
    Task("buy", given="click", trained_on="all"),
    Task("price", "regression", units=2),
    Task("topic", "multiclass", units=3),
    Task("tags", "multilabel", units=2, loss="binary_crossentropy"),
]
CLICKS = RNG.integers(-1, 2, ROWS)
Y = {
    "click": CLICKS,
    "buy": np.where(CLICKS == 0, 0, RNG.integers(-1, 2, ROWS)),  # nobody buys without a click
    "price": np.where(RNG.random((ROWS, 2)) < 0.5, np.nan, X[:, :2]).astype("float32"),
    "topic": RNG.integers(-1, 3, ROWS),
    "tags": RNG.integers(-1, 2, (ROWS, 2)),
}
Y["buy"][(Y["click"] == 0) & (Y["buy"] == 1)] = 0


def made(optimizer=None, cls=None, **compiled):
    arguments = {"num_experts": 2, "expert_units": 4, "tower_units": 3, "seed": 0}
    arguments["kernel_regularizer"] = keras.regularizers.L2(0.01)
    model = zoo.mmoe(4, TASKS, **arguments)
    if cls is not None:
        model = cls(model.input, model.output)
    model.compile(optimizer or keras.optimizers.SGD(0.1), **compiled)
    return model


def numbers(model):
    return [keras.ops.convert_to_numpy(weight.value) for weight in model.trainable_variables]


def assert_same(found, expected, tolerance=1e-6):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


@on_tensorflow
def test_the_train_step_of_the_guide_trains_and_logs_as_fit_does():
    expected, found = made(), made(cls=Guide)
    fit = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    logs = [model.fit(X, Y, **fit).history for model in (expected, found)]
    assert_same(numbers(found), numbers(expected))
    assert logs[0].keys() == logs[1].keys()
    for name, values in logs[0].items():
        np.testing.assert_allclose(logs[1][name], values, atol=1e-5, err_msg=name)


def mixture(cls):
    model = zoo.moe(4, ["a"], num_experts=4, expert_units=3, tower_units=(), noisy=False, seed=0)
    model = cls(model.input, model.output)
    model.compile(keras.optimizers.SGD(0.0), metrics=[], run_eagerly=True)
    return model


@on_tensorflow
def test_a_train_step_of_ones_own_records_the_routing():
    y = {"a": (X[:, 0] > 0).astype("int64")}
    logs = [mixture(cls).fit(X, y, verbose=0).history for cls in (Logging, MultiTaskModel)]
    routing = [{k: v[0] for k, v in each.items() if k.startswith("moe/")} for each in logs]
    assert routing[0] == pytest.approx(routing[1], rel=1e-5)
    assert sum(value for name, value in routing[0].items() if "load_" in name) > 0.9


@on_tensorflow
def test_outside_of_a_step_no_token_has_no_figures():
    model = mixture(MultiTaskModel)
    figures = model._routing_tracker.result()
    assert figures
    assert all(np.isnan(figure) for figure in figures.values())


@on_tensorflow
def test_a_train_step_of_ones_own_goes_on_after_a_batch_without_labels():
    y = {"a": np.where(np.arange(ROWS) < 8, -1, np.arange(ROWS) % 2)}
    model = mixture(Logging)
    ends = keras.callbacks.TerminateOnNaN()
    model.fit(X, y, batch_size=8, shuffle=False, callbacks=[ends], verbose=0)
    assert not model.stop_training
    assert float(model._loss_tracker._counts[0]) == ROWS - 8


@on_tensorflow
def test_a_loop_of_ones_own_has_the_masked_losses(caplog):
    expected, model = made(), made()
    expected.fit(X, Y, batch_size=ROWS, epochs=3, shuffle=False, verbose=0)

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)

    step(X, Y)
    compiled = tf.function(step)
    for _ in range(2):
        compiled(X, Y)
    assert "AutoGraph could not transform" not in caplog.text
    assert_same(numbers(model), numbers(expected))
    figures = expected.evaluate(X, Y, batch_size=ROWS, return_dict=True, verbose=0)
    model.reset_metrics()
    predictions = model(X)
    assert float(model.compute_loss(y=Y, y_pred=predictions)) == pytest.approx(figures["loss"])
    logs = model.compute_metrics(X, Y, predictions)
    assert {name: float(value) for name, value in logs.items()} == pytest.approx(figures, abs=1e-5)


def dense_head(x):
    wide = keras.initializers.RandomNormal(stddev=50.0)
    return {"tag": keras.layers.Dense(3, "softmax", kernel_initializer=wide)(x)}


def task_output_head(x):
    wide = keras.initializers.RandomNormal(stddev=50.0)
    logits = keras.layers.Dense(3, kernel_initializer=wide)(x)
    return {"tag": TaskOutput(Task("tag", "multiclass", units=3), activation="softmax")(logits)}


@on_tensorflow
@pytest.mark.parametrize("head", [dense_head, task_output_head])
def test_padding_does_not_count_in_a_loop_of_ones_own_either(head):
    """The Keras mask of tokens, which comes along with the predictions."""
    keras.utils.set_random_seed(0)
    ids = keras.Input((4,), dtype="int32", name="ids")
    x = keras.layers.Embedding(7, 3, "random_normal", mask_zero=True)(ids)
    tasks = [Task("tag", "multiclass", units=3)] if head is dense_head else None
    model = MultiTaskModel(inputs=ids, outputs=head(x), tasks=tasks)
    model.compile("sgd")
    rows = np.array([[1, 2, 0, 0], [3, 4, 5, 0]])
    labels = np.array([[0, 1, 2, 2], [1, 2, 0, 1]])
    right = model.evaluate(rows, labels, return_dict=True, verbose=0)["loss"]
    predictions = model(rows)
    found = float(model.compute_loss(y=labels, y_pred=predictions))
    without = float(model.compute_loss(y=labels, y_pred={"tag": predictions["tag"] * 1}))
    assert found == pytest.approx(right, rel=1e-5)
    assert found != pytest.approx(without, rel=1e-2)


# Every part of 8 rows has equally many labels of every task.
SAME = np.tile(np.arange(8), ROWS // 8)
EVEN = {name: Y[name][SAME] for name in ("price", "topic", "tags")} | {
    "click": np.tile([0, 1, 1, 1, -1, 1, 0, 1], ROWS // 8),
    "buy": np.tile([0, 1, 0, 1, 1, 1, 0, 1], ROWS // 8),
}


MODES = {
    "sixteen": {},
    "one": {"steps_per_execution": 1},
    "eagerly": {"run_eagerly": True},
    "xla": {"jit_compile": True},
}


def accumulated(name, steps=None, **options):
    return getattr(keras.optimizers, name)(0.1, gradient_accumulation_steps=steps, **options)


@pytest.mark.parametrize(
    ("name", "options", "mode"),
    [("SGD", {}, mode) for mode in MODES] + [("Adam", {"epsilon": 1e-3}, "sixteen")],
)
def test_accumulated_gradients_are_those_of_one_large_batch(name, options, mode):
    large = made(accumulated(name, **options), run_eagerly=True)
    large.fit(X, EVEN, batch_size=ROWS, epochs=3, shuffle=False, verbose=0)
    parts = made(accumulated(name, 4, **options), **MODES[mode])
    parts.fit(X, EVEN, batch_size=8, epochs=3, shuffle=False, verbose=0)
    assert_same(numbers(parts), numbers(large))
