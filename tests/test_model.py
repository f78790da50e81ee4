import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task, zoo

RNG = np.random.default_rng(0)
ROWS = 32
X = RNG.normal(size=(ROWS, 4)).astype("float32")
TASKS = [
    Task("click", class_weight={1: 2.0}, metrics=["accuracy"]),
    Task("topic", "multiclass", 3),
    Task("price", "regression", weight=0.5, missing=-9),
    Task("buy", given="click", trained_on="all"),
]
Y = {
    "click": RNG.integers(-1, 2, ROWS),
    "topic": RNG.integers(-1, 3, ROWS),
    "price": np.where(RNG.random(ROWS) < 0.3, -9, RNG.normal(size=ROWS)),
    "buy": RNG.integers(-1, 2, ROWS),
}
Y["buy"][(Y["click"] == 0) & (Y["buy"] == 1)] = 0


def hand_written(**kwargs):
    x = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(6, "relu", name="hidden")(x)
    outputs = {
        "click": keras.layers.Dense(1, "sigmoid", name="click")(hidden),
        "topic": keras.layers.Softmax()(keras.layers.Dense(3)(hidden)),
        "price": keras.layers.Dense(1)(hidden),
        "buy": keras.ops.sigmoid(keras.layers.Dense(1)(hidden)),
    }
    return MultiTaskModel(inputs=x, outputs=outputs, tasks=TASKS, **kwargs)


def from_the_zoo():
    return zoo.mmoe(4, TASKS, num_experts=2, expert_units=(5,), tower_units=(4,), seed=0)


MAKERS = [hand_written, from_the_zoo]
FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}


def compiled(model, run_eagerly=False):
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={"price": keras.losses.Huber(delta=0.5)},
        loss_weights={"topic": 3.0},
        metrics={"topic": [keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")]},
        run_eagerly=run_eagerly,
    )
    return model


def assert_same_predictions(model, other):
    expected, found = model.predict(X, verbose=0), other.predict(X, verbose=0)
    assert list(expected) == list(found)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


# --- what a model is ---


@pytest.mark.parametrize("make", MAKERS)
def test_the_outputs_are_a_dict_in_the_order_of_the_tasks(make):
    model = make()
    assert list(model.output) == [task.name for task in model.tasks] == [t.name for t in TASKS]
    assert model.predict(X, verbose=0)["topic"].sum(-1) == pytest.approx(np.ones(ROWS), rel=1e-5)


def test_a_plain_model_with_the_same_graph_predicts_the_same():
    model = hand_written()
    plain = keras.Model(model.input, dict(model.output))
    for name, values in plain.predict(X, verbose=0).items():
        np.testing.assert_array_equal(model.predict(X, verbose=0)[name], values)


@pytest.mark.parametrize("make", MAKERS)
def test_compiling_leaves_graph_and_predictions_alone(make):
    model = make()
    before, layers = model.predict(X, verbose=0), [layer.name for layer in model.layers]
    count = model.count_params()
    model.compile("adam", run_eagerly=True)
    model.evaluate(X, Y, verbose=0)
    assert [layer.name for layer in model.layers] == layers
    assert model.count_params() == count
    for name, values in model.predict(X, verbose=0).items():
        np.testing.assert_allclose(values, before[name], rtol=1e-6)


# --- saved, cloned ---


@pytest.mark.parametrize("make", MAKERS)
def test_training_goes_on_after_a_reload_as_if_nothing_had_happened(make, tmp_path):
    straight = compiled(make(), run_eagerly=make is from_the_zoo)
    straight.fit(X, Y, **FIT)
    straight.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, MultiTaskModel)
    assert again.tasks == straight.tasks
    assert_same_predictions(straight, again)
    assert again.evaluate(X, Y, verbose=0, return_dict=True) == straight.evaluate(
        X, Y, verbose=0, return_dict=True
    )
    expected, found = straight.fit(X, Y, **FIT).history, again.fit(X, Y, **FIT).history
    assert found == expected
    assert {"click_accuracy", "topic_top", "price_loss", "buy_auc"} <= set(found)
    assert_same_predictions(straight, again)


def test_a_model_saved_without_compile_is_loaded_without(tmp_path):
    model = hand_written()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert not again.compiled
    assert_same_predictions(model, again)


def test_weights_are_saved_and_loaded_by_themselves(tmp_path):
    model, other = (
        from_the_zoo(),
        zoo.mmoe(4, TASKS, num_experts=2, expert_units=(5,), tower_units=(4,), seed=1),
    )
    compiled(model).save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same_predictions(model, other)


@pytest.mark.parametrize("make", MAKERS)
def test_a_clone_keeps_the_tasks_and_draws_anew_or_copies(make):
    model = make()
    clone = keras.models.clone_model(model)
    assert isinstance(clone, MultiTaskModel)
    assert clone.tasks == model.tasks
    clone.set_weights(model.get_weights())
    assert_same_predictions(model, clone)
    reports = []
    for one in (model, clone):
        one.compile("sgd", run_eagerly=True)
        reports.append(one.evaluate(X, Y, return_dict=True, verbose=0))
    assert reports[0] == reports[1]
    again = MultiTaskModel.from_config(model.get_config())
    assert again.tasks == model.tasks


# --- half precision ---


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_trains_with_float32_heads(policy):
    keras.config.set_dtype_policy(policy)
    for make in MAKERS:
        model = make()
        model.compile(keras.optimizers.Adam(0.03), run_eagerly=True)
        losses = model.fit(X, Y, epochs=4, verbose=0).history
        assert np.isfinite(list(losses.values())).all()
        assert losses["loss"][-1] < losses["loss"][0]
        assert {tensor.dtype for tensor in model.output.values()} == {"float32"}
        assert {array.dtype for array in model.predict(X, verbose=0).values()} == {
            np.dtype("float32")
        }


# --- refused ---


def graph(**outputs):
    """A model whose outputs have the given widths, by task name."""
    x = keras.Input((4,), name="features")
    made = {name: keras.layers.Dense(units)(x) for name, units in outputs.items()}
    return {"inputs": x, "outputs": made}


@pytest.mark.parametrize(
    ("outputs", "tasks", "match"),
    [
        (
            {"a": 1, "b": 1},
            ["a"],
            r"`outputs` must be keyed by .* outputs=\['a', 'b'\], tasks=\['a'\]",
        ),
        ({"a": 1}, ["a", "b"], r"keyed by the tasks' names.* tasks=\['a', 'b'\]"),
        ({"a": 2}, ["a"], r"output of task 'a' must have shape \(B, ..., 1\).*\(None, 2\)"),
        (
            {"a": 2},
            [Task("a", "multiclass", 3)],
            r"output of task 'a' must have shape \(B, ..., 3\)",
        ),
        ({"a": 1}, [], "at least one Task"),
        ({"a": 1}, None, r"`tasks` must be given with outputs that hold none.*\['a'\]"),
        ({"features": 1}, ["features"], "name of an input or of a layer. Received: 'features'"),
        ({"a": 1}, ["a", "a"], "must be unique. Received twice: a"),
        ({"a": 1}, [Task("a", given="b")], "`given` of task 'a' must name a binary task"),
    ],
)
def test_outputs_and_tasks_that_do_not_match(outputs, tasks, match):
    with pytest.raises(ValueError, match=match):
        MultiTaskModel(tasks=tasks, **graph(**outputs))


def test_a_task_may_not_bear_the_name_of_a_hidden_layer():
    x = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(3, name="click")(x)
    output = keras.layers.Dense(1, "sigmoid")(keras.layers.Dense(2)(hidden))
    with pytest.raises(ValueError, match=r"name of an input or of a layer\. Received: 'click'"):
        MultiTaskModel(inputs=x, outputs={"click": output}, tasks=["click"])
    with pytest.raises(ValueError, match=r"name of an input or of a layer\. Received: 'features'"):
        zoo.shared_bottom(4, ["features"])


def test_outputs_without_names_are_refused():
    x = keras.Input((4,))
    with pytest.raises(ValueError, match=r"must be given `inputs` and a dict of `outputs`"):
        MultiTaskModel(inputs=x, outputs=keras.layers.Dense(1)(x), tasks=["a"])
    with pytest.raises(ValueError, match=r"must be given `inputs` and a dict of `outputs`"):
        MultiTaskModel(tasks=["a"])


def test_the_layer_that_makes_an_output_may_bear_its_name():
    x = keras.Input((4,), name="features")
    output = keras.layers.Dense(1, "sigmoid", name="a")(x)
    model = MultiTaskModel(inputs=x, outputs={"a": output}, tasks=["a"])
    model.compile("sgd", run_eagerly=True)
    assert np.isfinite(model.evaluate(X, np.arange(ROWS) % 2, verbose=0)).all()
