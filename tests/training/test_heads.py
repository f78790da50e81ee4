"""Losses read logits of heads that are an activation and no more; of others, what they predict."""

import threading

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import MultiTaskModel, Task
from keras_mtl.layers.task_output import TaskOutput

RNG = np.random.default_rng(5)
X = RNG.normal(size=(64, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
CLASSES = RNG.integers(0, 3, 64)


class Scaled(keras.layers.Layer):
    """A layer that has an activation and does more than that."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.activation = keras.activations.sigmoid

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return 0.3 * self.activation(self.dense(x))


class ScaledDense(keras.layers.Dense):
    def call(self, x):
        return 0.3 * super().call(x)


class OwnModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1, "sigmoid")

    def build(self, input_shape):
        self.dense.build(input_shape)

    def call(self, x):
        return 0.3 * self.dense(x)


def masked_softmax(x):
    return keras.layers.Softmax()(keras.layers.Dense(3)(x), mask=np.array([True, True, False]))


def masked_softmax_by_position(x):
    logits = keras.layers.Dense(3)(x)
    best = ops.max(logits, axis=-1, keepdims=True)
    return keras.layers.Softmax()(logits, logits > best - 0.5)


def recurrent(x):
    return keras.layers.LSTM(1, activation="sigmoid")(keras.layers.Reshape((2, 2))(x))


def model_of(head, task="a", width=4, **compile_arguments):
    x = keras.Input((width,), name="x")
    task = Task(task) if isinstance(task, str) else task
    model = MultiTaskModel(inputs=x, outputs={"a": head(x)}, tasks=[task])
    model.compile(**{"optimizer": "sgd", "metrics": [], "run_eagerly": True, **compile_arguments})
    return model


def predicted(model, x=X):
    return model.predict(x, verbose=0)["a"]


def crossentropy(p, labels):
    """Of what a model predicts, as plain Keras takes it: clipped."""
    if p.shape[-1] > 1:
        return -np.log(np.clip(p[np.arange(len(p)), labels], 1e-7, None)).mean()
    p = np.clip(p[:, 0].astype("float64"), 1e-7, 1 - 1e-7)
    return -(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean()


BINARY = {
    "layer": lambda x: Scaled()(x),
    "subclass": lambda x: ScaledDense(1, "sigmoid")(x),
    "model": lambda x: OwnModel()(x),
    "recurrent": recurrent,
    "operation": lambda x: 0.3 * ops.sigmoid(keras.layers.Dense(1)(x)),
    "other activation": lambda x: keras.layers.Dense(1, "hard_sigmoid")(x),
    "nested": lambda x: keras.Sequential([keras.layers.Dense(2, "relu"), Scaled()])(x),
}


@pytest.mark.parametrize("head", BINARY.values(), ids=BINARY)
def test_a_head_that_does_more_is_read_as_it_predicts(head):
    model = model_of(head)
    right = crossentropy(predicted(model), Y)
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["a_loss"] == pytest.approx(right, 1e-5)


@pytest.mark.parametrize("head", [masked_softmax, masked_softmax_by_position])
def test_a_softmax_keeps_its_mask(head):
    task = Task("a", "multiclass", 3)
    model = model_of(head, task)
    p = predicted(model)
    labels = np.where(p[np.arange(64), CLASSES] > 0, CLASSES, p.argmax(axis=-1))
    found = model.evaluate(X, labels, verbose=0, return_dict=True)["a_loss"]
    assert found == pytest.approx(crossentropy(p, labels), 1e-5)


def test_a_scaled_head_learns_the_rate_of_its_labels():
    x, y = np.zeros((2048, 4), "float32"), np.zeros(2048)
    y[::5] = 1  # a rate of 0.2
    model = model_of(
        lambda x: Scaled()(x),
        optimizer=keras.optimizers.Adam(0.1),
        run_eagerly=False,
        jit_compile=False,
    )
    model.fit(x, y, batch_size=32, verbose=0)
    np.testing.assert_allclose(predicted(model, x), 0.2, atol=0.02)


@pytest.mark.parametrize("units", [1, 3])
def test_an_activity_regulariser_sees_predictions(units):
    activation = "sigmoid" if units == 1 else "softmax"
    regularizer = keras.regularizers.L2(0.1)
    task = Task("a") if units == 1 else Task("a", "multiclass", 3)
    model = model_of(
        lambda x: keras.layers.Dense(units, activation, activity_regularizer=regularizer)(x), task
    )
    y = Y if units == 1 else CLASSES
    p = predicted(model)
    logs = model.evaluate(X, y, batch_size=64, verbose=0, return_dict=True)
    assert logs["a_loss"] == pytest.approx(crossentropy(p, y), 1e-5)
    penalty = 0.1 * np.square(p).sum() / len(p)
    assert logs["loss"] - logs["a_loss"] == pytest.approx(penalty, 1e-4)


def test_an_activity_regulariser_of_the_output_sees_predictions():
    task = Task("a")
    regularizer = keras.regularizers.L2(0.1)
    model = model_of(
        lambda x: TaskOutput(task, activation="sigmoid", activity_regularizer=regularizer)(
            keras.layers.Dense(1)(x)
        ),
        task,
    )
    logs = model.evaluate(X, Y, batch_size=64, verbose=0, return_dict=True)
    penalty = 0.1 * np.square(predicted(model)).mean()
    assert logs["loss"] - logs["a_loss"] == pytest.approx(penalty, 1e-4)


def test_an_output_with_an_activation_of_its_own_is_read_as_it_predicts():
    task = Task("a", "regression")
    model = model_of(lambda x: TaskOutput(task, activation="relu")(keras.layers.Dense(1)(x)), task)
    p = predicted(model)
    logs = model.evaluate(X, X[:, 0], verbose=0, return_dict=True)
    assert logs["a_loss"] == pytest.approx(np.square(p[:, 0] - X[:, 0]).mean(), 1e-5)


def test_slices_of_stacked_predictions_are_those_of_their_tasks():
    tasks = [Task("a"), Task("b")]
    x = keras.Input((4,), name="x")
    stacked = keras.layers.Reshape((2, 1))(keras.layers.Dense(2)(x))
    scaled = 0.3 * ops.sigmoid(stacked)
    made = {"p": ops.sigmoid(stacked), "q": scaled}
    for source, hidden in (("p", True), ("q", False)):
        outputs = {t.name: TaskOutput(t, index)(made[source]) for index, t in enumerate(tasks)}
        model = MultiTaskModel(inputs=x, outputs=outputs, tasks=tasks)
        model.compile("sgd", metrics=[], run_eagerly=True)
        assert [head.logits for head in model._training_graph.heads.values()] == [hidden] * 2
        logs = model.evaluate(X, {"a": Y, "b": 1 - Y}, verbose=0, return_dict=True)
        p = model.predict(X, verbose=0)
        assert logs["a_loss"] == pytest.approx(crossentropy(p["a"], Y), 1e-5)
        assert logs["b_loss"] == pytest.approx(crossentropy(p["b"], 1 - Y), 1e-5)


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", keras.losses.BinaryCrossentropy(from_logits=True)]
)
def test_a_loss_that_asks_for_logits_gets_those_of_a_probability(loss):
    model = model_of(lambda x: Scaled()(x), loss=loss)
    right = crossentropy(predicted(model), Y)
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["a_loss"] == pytest.approx(right, 1e-5)


# --- where logits are found ---


def functional(x):
    inner = keras.Input((4,))
    return keras.Model(inner, keras.layers.Dense(1, "sigmoid", name="free")(inner))(x)


def of_layers(*layers):
    return lambda x: keras.Sequential(list(layers))(x)


def sequential_in_functional(x):
    inner = keras.Input((4,), name="rows")
    free = keras.Sequential(
        [keras.layers.Dense(1, name="free"), keras.layers.Activation("sigmoid")]
    )
    return keras.Model({"rows": inner}, {"p": free(inner)})({"rows": x})["p"]


def model_of_tasks(x):
    inner = keras.Input((4,))
    free = keras.layers.Dense(1, "sigmoid", name="free")(inner)
    return MultiTaskModel(inputs=inner, outputs={"old": free}, tasks=["old"])(x)["old"]


FREE = {
    "functional": functional,
    "sequential": of_layers(keras.layers.Dense(1, "sigmoid", name="free")),
    "operation in sequential": of_layers(
        keras.layers.Dense(1, name="free"), keras.layers.Activation("sigmoid")
    ),
    "sequential in functional": sequential_in_functional,
    "multi-task model": model_of_tasks,
    "einsum": lambda x: keras.layers.EinsumDense(
        "bd,du->bu", 1, activation="sigmoid", bias_axes="u", name="free"
    )(x),
}


def set_logits(model, value):
    """Every row's logit becomes `value`."""
    for weight in model.weights:
        if "free" in weight.path:
            weight.assign(np.full(weight.shape, value if len(weight.shape) == 1 else 0.0))


@pytest.mark.parametrize("head", FREE.values(), ids=FREE)
def test_logits_are_found_to_the_last_operation_also_after_a_reload(head, tmp_path):
    model = model_of(head, metrics=None)
    set_logits(model, 40.0)
    model.save(tmp_path / "model.keras")
    for one in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert one.evaluate(X, Y * 0, verbose=0, return_dict=True)["a_loss"] == pytest.approx(40.0)
        one.fit(X, Y * 0, batch_size=64, verbose=0)
        np.testing.assert_allclose(one.weights[-1], 40.0 - 0.01)  # a gradient of 1


@pytest.mark.parametrize(
    ("kind", "rank"),
    [(keras.layers.Conv1D, 1), (keras.layers.Conv2D, 2), (keras.layers.Conv3D, 3)],
)
def test_logits_are_found_in_convolutions(kind, rank):
    layer = kind(1, 1, activation="sigmoid", name="free")
    model = model_of(lambda x: layer(keras.layers.Reshape((*(1,) * rank, 4))(x)))
    set_logits(model, 40.0)
    y = np.zeros((64, *(1,) * rank))
    assert model.evaluate(X, y, verbose=0, return_dict=True)["a_loss"] == pytest.approx(40.0)


def test_outputs_of_one_nested_model_are_computed_together():
    inner = keras.Input((4,))
    norm = keras.layers.BatchNormalization(momentum=0.5, name="norm")
    shared = norm(keras.layers.ActivityRegularization(l2=0.1)(inner))
    nested = keras.Model(
        inner,
        [
            keras.layers.Dense(1, "sigmoid")(shared),
            keras.layers.Softmax()(keras.layers.Dense(3)(shared)),
        ],
    )
    x = keras.Input((4,), name="x")
    a, b = nested(x)
    model = MultiTaskModel(x, {"a": a, "b": b}, tasks=["a", Task("b", "multiclass", 3)])
    model.compile("sgd", metrics=[], run_eagerly=True)
    assert all(head.logits for head in model._training_graph.heads.values())
    assert_computed_once(model, norm, {"a": Y, "b": CLASSES})


def test_a_nested_model_that_is_needed_elsewhere_is_not_computed_twice():
    inner = keras.Input((4,))
    norm = keras.layers.BatchNormalization(momentum=0.5, name="norm")
    shared = norm(keras.layers.ActivityRegularization(l2=0.1)(inner))
    nested = keras.Model(inner, [keras.layers.Dense(1, "sigmoid")(shared), shared])
    x = keras.Input((4,), name="x")
    a, features = nested(x)
    outputs = {"a": a, "b": keras.layers.Dense(1, "sigmoid")(features)}
    model = MultiTaskModel(x, outputs, tasks=["a", "b"])
    model.compile("sgd", metrics=[], run_eagerly=True)
    assert_computed_once(model, norm, {"a": Y, "b": Y})


def assert_computed_once(model, norm, y):
    logs = model.fit(X, y, batch_size=64, verbose=0).history
    np.testing.assert_allclose(norm.moving_mean, X.mean(axis=0) / 2, rtol=1e-4, atol=1e-6)
    penalty = 0.1 * np.square(X).sum() / 64
    assert logs["loss"][0] - logs["a_loss"][0] - logs["b_loss"][0] == pytest.approx(penalty, 1e-4)


# --- and no layer changes for it ---


@pytest.fixture
def inside_head(monkeypatch):
    """A list of functions that run while a step is inside of the layer called `head`."""
    functions = []
    original = keras.layers.Dense.call

    def call(self, inputs, training=None):
        outputs = original(self, inputs, training=training)
        for function in functions if self.name == "head" else ():
            function()
        return outputs

    monkeypatch.setattr(keras.layers.Dense, "call", call)
    return functions


def test_another_thread_sees_predictions_while_a_step_runs(inside_head):
    model = model_of(lambda x: keras.layers.Dense(1, "sigmoid", name="head")(x))
    right = ops.convert_to_numpy(model(X)["a"])
    seen = []

    def predict():
        inside_head.clear()
        seen.append(ops.convert_to_numpy(model(X)["a"]))

    def in_a_thread():
        thread = threading.Thread(target=predict)
        thread.start()
        thread.join(60)

    inside_head.append(in_a_thread)
    model.test_on_batch(X, Y)
    np.testing.assert_allclose(seen, [right], rtol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="Keras' trainer on JAX takes variables out of their layers while it runs",
)
def test_evaluations_in_four_threads_leave_the_head_as_it_was(inside_head):
    models = []
    x = keras.Input((4,), name="x")
    head = keras.layers.Dense(1, "sigmoid", name="head")
    p = head(x)
    for _ in range(4):  # of one layer: evaluations of one model would share its metrics
        models.append(MultiTaskModel(inputs=x, outputs={"a": p}, tasks=["a"]))
        models[-1].compile("sgd", metrics=[], run_eagerly=True)
    before = dict(vars(head))
    right = crossentropy(predicted(models[0]), Y)
    barrier, losses = threading.Barrier(4), []
    inside_head.append(lambda: barrier.wait(60))

    def evaluate(model):
        losses.append(model.evaluate(X, Y, batch_size=64, verbose=0, return_dict=True)["a_loss"])

    threads = [threading.Thread(target=evaluate, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert losses == pytest.approx([right] * 4, 1e-5)
    changed = [name for name, value in vars(head).items() if value is not before[name]]
    assert not changed
    assert head.activation is keras.activations.sigmoid
