import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import Task
from tests.reference.losses import crossentropy, over_labelled, sigmoid, softmax, task_loss
from tests.training.free_logits import own_heads, stacked_heads

ROWS = 12
RNG = np.random.default_rng(1)
CLOSE = {"rel": 1e-5, "abs": 1e-6}


def draw_labels(kind, units, shape):
    """Labels of entries, with a third of them missing; and which are known."""
    shape = shape if kind == "multiclass" else (*shape[:-1], units)
    known = RNG.random(shape) > 0.33
    if kind == "regression":
        return np.where(known, RNG.normal(size=shape), np.nan), known
    labels = RNG.integers(0, units if kind == "multiclass" else 2, shape)
    return np.where(known, labels, -1), known


@pytest.mark.parametrize(
    ("kind", "units", "inner"),
    [
        ("binary", 1, ()),
        ("binary", 1, (3, 2)),
        ("multiclass", 4, ()),
        ("multiclass", 3, (2, 3)),
        ("multilabel", 5, ()),
        ("multilabel", 2, (2,)),
        ("regression", 1, ()),
        ("regression", 3, ()),
        ("regression", 2, (2, 2)),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_of_every_kind(kind, units, inner, weighted):
    outputs = RNG.normal(size=(ROWS, *inner, units)) * 3
    labels, known = draw_labels(kind, units, (ROWS, *inner, 1))
    weights = RNG.gamma(1.0, 1.0, ROWS) if weighted else np.ones(ROWS)
    per_entry = weights.reshape(-1, *[1] * (labels.ndim - 1))
    loss, gradient = task_loss(kind, labels, outputs, known, per_entry)
    rows = own_heads([Task("a", kind, units)], {"a": outputs})
    logs, gradients = rows.step({"a": labels}, fit={"sample_weight": weights} if weighted else None)
    assert logs["a_loss"] == pytest.approx(loss, **CLOSE)
    assert logs["loss"] == pytest.approx(loss, **CLOSE)
    np.testing.assert_allclose(gradients["a"], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("inner", [(), (2, 3)])
def test_labels_may_leave_out_a_last_axis_of_one(kind, inner):
    units = 3 if kind == "multiclass" else 1
    outputs = RNG.normal(size=(8, *inner, units))
    labels, known = draw_labels(kind, units, (8, *inner, 1))
    loss, _ = task_loss(kind, labels, outputs, known)
    rows = own_heads([Task("a", kind, units)], {"a": outputs})
    logs, _ = rows.step({"a": labels[..., 0]})
    assert logs["a_loss"] == pytest.approx(loss, **CLOSE)


def test_soft_labels_of_a_binary_task():
    outputs, labels = RNG.normal(size=(6, 1)), RNG.random(6)
    loss, gradient = task_loss("binary", labels[:, None], outputs, np.ones((6, 1), bool))
    logs, gradients = own_heads(["a"], {"a": outputs}).step({"a": labels})
    assert logs["a_loss"] == pytest.approx(loss, **CLOSE)
    np.testing.assert_allclose(gradients["a"], gradient, rtol=1e-4, atol=1e-7)


def test_stacked_tasks_beside_tasks_with_losses_of_their_own():
    names = ["d", "b", "a", "f", "c", "g", "e"]
    own = {"b": "mean_squared_error", "f": keras.losses.BinaryCrossentropy(from_logits=True)}
    outputs = {name: RNG.normal(size=(ROWS, 1)) * 2 for name in names}
    drawn = {name: draw_labels("binary", 1, (ROWS, 1)) for name in names}
    logs, gradients = stacked_heads(names, outputs).step(
        {name: labels for name, (labels, _) in drawn.items()}, loss=own
    )
    losses = {}
    for name, (labels, known) in drawn.items():
        losses[name], gradient = task_loss("binary", labels, outputs[name], known)
        if name == "b":
            p = sigmoid(outputs[name])
            losses[name] = over_labelled((p - labels) ** 2, known)
            gradient = np.where(known, 2 * (p - labels) * p * (1 - p), 0) / known.sum()
        assert logs[f"{name}_loss"] == pytest.approx(losses[name], **CLOSE)
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-4, atol=1e-7)
    assert logs["loss"] == pytest.approx(sum(losses.values()), **CLOSE)


def test_total_is_weighted_by_compile_or_else_by_the_task():
    tasks = [Task("a", weight=3.0), Task("b", "regression", weight=0.5), Task("c")]
    outputs = {name: RNG.normal(size=(ROWS, 1)) for name in "abc"}
    y = {"a": np.arange(ROWS) % 2, "b": np.arange(ROWS) / 9, "c": np.arange(ROWS) % 3 - 1}
    rows = own_heads(tasks, outputs)
    plain, _ = own_heads(["a", Task("b", "regression"), "c"], outputs).step(y)
    for loss_weights, factors in ((None, (3, 0.5, 1)), ({"b": 2.0, "c": 0}, (3, 2, 0))):
        logs, gradients = rows.step(y, loss_weights=loss_weights)
        losses = [logs[f"{name}_loss"] for name in "abc"]
        assert losses == pytest.approx([plain[f"{name}_loss"] for name in "abc"])
        assert logs["loss"] == pytest.approx(np.dot(losses, factors), **CLOSE)
        labels, known = y["c"][:, None], y["c"][:, None] >= 0
        gradient = factors[2] * task_loss("binary", labels, outputs["c"], known)[1]
        np.testing.assert_allclose(gradients["c"], gradient, rtol=1e-4, atol=1e-7)


def test_regularisers_and_layer_losses_are_added_once():
    outputs = {name: RNG.normal(size=(ROWS, 1)) for name in "ab"}
    y = {name: RNG.integers(-1, 2, ROWS) for name in "ab"}
    plain, slopes = stacked_heads(["a", "b"], outputs).step(y)
    rows = stacked_heads(["a", "b"], outputs, kernel_regularizer=keras.regularizers.L2(0.01))
    logs, gradients = rows.step(y, fit={"validation_data": (np.eye(ROWS), y)})
    squares = sum((value**2).sum() for value in outputs.values())  # the trunk is frozen
    assert logs["loss"] == pytest.approx(plain["loss"] + 0.01 * squares, **CLOSE)
    assert logs["a_loss"] == pytest.approx(plain["a_loss"], **CLOSE)
    np.testing.assert_allclose(gradients["a"], slopes["a"] + 0.02 * outputs["a"], rtol=1e-4)
    report = rows.model.evaluate(rows.x, y, batch_size=5, return_dict=True, verbose=0)
    assert report["loss"] == pytest.approx(logs["loss"], **CLOSE)


def absolute_per_row(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def absolute_per_entry(y_true, y_pred):
    return ops.abs(y_true - y_pred)


@pytest.mark.parametrize(
    ("loss", "entry"),
    [
        ("mae", lambda error: np.abs(error)),
        ("mean_squared_error", lambda error: error**2),
        (keras.losses.MeanAbsoluteError(reduction="sum"), np.abs),
        (
            keras.losses.Huber(delta=0.5),
            lambda e: np.where(np.abs(e) < 0.5, e**2 / 2, 0.5 * np.abs(e) - 0.125),
        ),
        ({"a": "mae"}, np.abs),
        (absolute_per_entry, np.abs),
    ],
    ids=["string", "long string", "object", "parameters", "by task", "function"],
)
@pytest.mark.parametrize("units", [1, 3])
def test_own_loss_of_columns(loss, entry, units):
    outputs = RNG.normal(size=(ROWS, units))
    labels, known = draw_labels("regression", units, (ROWS, 1))
    weights = RNG.random(ROWS)
    logs, _ = own_heads([Task("a", "regression", units)], {"a": outputs}).step(
        {"a": labels}, loss=loss, fit={"sample_weight": weights}
    )
    expected = over_labelled(entry(outputs - np.nan_to_num(labels)), known, weights[:, None])
    assert logs["a_loss"] == pytest.approx(expected, **CLOSE)


def test_own_function_of_rows_sees_rows():
    outputs, labels = RNG.normal(size=(ROWS, 3)), RNG.normal(size=(ROWS, 3))
    labels[::4] = np.nan
    logs, gradients = own_heads([Task("a", "regression", 3)], {"a": outputs}).step(
        {"a": labels}, loss=absolute_per_row
    )
    known = np.arange(ROWS) % 4 > 0
    expected = over_labelled(np.abs(outputs - labels).mean(-1), known)
    assert logs["a_loss"] == pytest.approx(expected, **CLOSE)
    assert not gradients["a"][~known].any()


@pytest.mark.parametrize("factor", [1.0, 4.0], ids=["moderate", "extreme"])
@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy",
        keras.losses.BinaryCrossentropy(from_logits=True),
        keras.losses.BinaryCrossentropy(),
    ],
    ids=["string", "logits", "probabilities"],
)
def test_own_crossentropy_gets_what_it_asks_for(loss, factor):
    outputs = np.array([[-5.0], [5.0], [-1.0], [2.0], [0.5]]) * factor
    labels = np.array([[1], [0], [0], [1], [-1]])
    logs, gradients = own_heads(["a"], {"a": outputs}).step({"a": labels}, loss=loss)
    expected, gradient = task_loss("binary", labels, outputs, labels >= 0)
    if factor > 1 and getattr(loss, "from_logits", True) is False:
        assert logs["a_loss"] < expected  # as everywhere in Keras, probabilities are clipped
        return
    assert logs["a_loss"] == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(gradients["a"], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "smoothing"),
    [
        ("sparse_categorical_crossentropy", 0),
        ("categorical_crossentropy", 0),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), 0),
        (keras.losses.SparseCategoricalCrossentropy(), 0),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), 0.1),
        (keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), 0.1),
    ],
)
def test_own_loss_of_classes(loss, smoothing):
    outputs = RNG.normal(size=(ROWS, 4))
    labels, known = draw_labels("multiclass", 4, (ROWS, 1))
    logs, _ = own_heads([Task("a", "multiclass", 4)], {"a": outputs}).step({"a": labels}, loss=loss)
    targets = (labels == np.arange(4)) * (1 - smoothing) + smoothing / 4
    entries = -(targets * np.log(softmax(outputs))).sum(-1, keepdims=True)
    assert logs["a_loss"] == pytest.approx(over_labelled(entries, known), **CLOSE)


def test_vectors_are_missing_when_all_their_components_are():
    outputs = RNG.normal(size=(5, 3))
    labels = RNG.normal(size=(5, 3))
    labels[1] = np.nan
    labels[3, 0] = np.nan
    weights = np.array([1.0, 9.0, 2.0, 0.5, 1.0])
    logs, gradients = own_heads([Task("a", "regression", 3)], {"a": outputs}).step(
        {"a": labels}, loss=keras.losses.CosineSimilarity(), fit={"sample_weight": weights}
    )
    known = np.array([True, False, True, True, True])
    vectors = np.nan_to_num(labels)
    norms = np.linalg.norm(outputs, axis=-1) * np.maximum(np.linalg.norm(vectors, axis=-1), 1e-9)
    expected = over_labelled(-(outputs * vectors).sum(-1) / norms, known, weights)
    assert logs["a_loss"] == pytest.approx(expected, **CLOSE)
    assert not gradients["a"][1].any()
    assert gradients["a"][[0, 2, 3, 4]].any(axis=1).all()


def test_a_loss_for_all_tasks_and_one_from_the_task():
    outputs = {name: RNG.normal(size=(ROWS, 1)) for name in "ab"}
    drawn = {name: draw_labels("binary", 1, (ROWS, 1)) for name in "ab"}
    y = {name: labels for name, (labels, _) in drawn.items()}
    logs, _ = own_heads(["a", "b"], outputs).step(y, loss="mse")
    tasks = [Task("a", loss=keras.losses.MeanSquaredError()), Task("b")]
    mixed, _ = own_heads(tasks, outputs).step(y)
    for name, (labels, known) in drawn.items():
        brier = over_labelled((sigmoid(outputs[name]) - labels) ** 2, known)
        assert logs[f"{name}_loss"] == pytest.approx(brier, **CLOSE)
    assert mixed["a_loss"] == pytest.approx(logs["a_loss"])
    labels, known = drawn["b"]
    entropy = over_labelled(crossentropy(labels, outputs["b"])[0], known)
    assert mixed["b_loss"] == pytest.approx(entropy, **CLOSE)


def test_a_loss_without_entries_is_refused():
    rows = own_heads([Task("a", "regression")], {"a": np.ones((4, 1))})
    labels = np.array([1.0, np.nan, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"value for every entry.*Received: shape=\(\)"):
        rows.step({"a": labels}, loss=lambda y, p: ops.mean(ops.square(y - p)))
