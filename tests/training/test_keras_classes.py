"""Every loss and metric of Keras on every kind of task: plain Keras' value, or a sentence."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import Task
from keras_mtl.losses.label_forms import takes_one_hot
from tests.reference.losses import sigmoid, softmax
from tests.training.free_logits import own_heads

ROWS, CLASSES = 24, 3
RNG = np.random.default_rng(4)
KNOWN = np.arange(ROWS) % 4 > 0
UNITS = {"binary": 1, "multiclass": CLASSES, "multilabel": CLASSES, "regression": CLASSES}
ACTIVATION = {"binary": sigmoid, "multilabel": sigmoid, "multiclass": softmax}
ARGUMENTS = {
    "BinaryIoU": {},
    "IoU": {"num_classes": CLASSES, "target_class_ids": [1], "sparse_y_pred": False},
    "MeanIoU": {"num_classes": CLASSES, "sparse_y_pred": False},
    "OneHotIoU": {"num_classes": CLASSES, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": CLASSES},
    "PrecisionAtRecall": {"recall": 0.5},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "MeanMetricWrapper": {"fn": keras.losses.mean_absolute_error},
}


def classes_of(module, base):
    """Names of the classes of Keras that are losses or metrics, but their base."""
    found = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    return sorted(name for name, value in found.items() if value is not base)


METRICS = classes_of(keras.metrics, keras.metrics.Metric)
LOSSES = classes_of(keras.losses, keras.losses.Loss)


def data(kind):
    units = UNITS[kind]
    logits = RNG.normal(size=(ROWS, units)).astype("float32")
    if kind == "multiclass":
        labels = RNG.integers(0, units, ROWS)
    elif kind == "regression":
        labels = RNG.normal(size=(ROWS, units)).astype("float32")
    else:
        labels = RNG.integers(0, 2, (ROWS, units)).astype("float32")
    return labels, logits


def hidden(labels):
    """The labels, missing where `KNOWN` is False."""
    masked = labels.astype("float32")
    masked[~KNOWN] = np.nan
    return masked


def right_labels(function, kind, labels):
    """What plain Keras is to be given of a kind's labels."""
    if kind != "multiclass":
        return labels
    sparse = "Sparse" in type(function).__name__ or "Generalized" in type(function).__name__
    sparse = sparse or getattr(function, "sparse_y_true", False)
    return labels if sparse else np.eye(CLASSES, dtype="float32")[labels]


def logged(kind, labels, logits, **arguments):
    rows = own_heads([Task("a", kind, UNITS[kind])], {"a": logits})
    rows.model.compile("sgd", run_eagerly=True, **arguments)
    y = {"a": hidden(labels)}
    return rows.model.evaluate(rows.x, y, batch_size=ROWS, verbose=0, return_dict=True)


def as_numpy(value):
    return np.asarray(ops.convert_to_numpy(value), "float64")


def is_refused(name, kind):
    """What has no value for single labels of a kind."""
    if name in ("CTC", "Circle", "Dice", "Mean", "Sum", "Tversky"):
        return True
    if "IoU" in name:
        return (name == "BinaryIoU") == (kind == "multiclass")
    of_ids = "Sparse" in name or "Generalized" in name
    return (of_ids and kind != "multiclass") or ("Categorical" in name and kind == "binary")


def metric_of(name):
    return getattr(keras.metrics, name)(**ARGUMENTS.get(name, {}))


@functools.cache
def all_metrics(kind):
    """Labels, logits and the values of all metrics that a kind of task takes."""
    labels, logits = data(kind)
    metrics = [metric_of(name) for name in METRICS if not is_refused(name, kind)]
    for metric in metrics:
        metric.name = type(metric).__name__
    return labels, logits, logged(kind, labels, logits, metrics=metrics)


@functools.cache
def all_losses(kind):
    """Labels, logits and the values of all losses that a kind of task takes, one a task."""
    labels, drawn = data(kind)
    names = [name for name in LOSSES if not is_refused(name, kind)]
    tasks = [Task(name, kind, UNITS[kind], loss=getattr(keras.losses, name)()) for name in names]
    logits = dict.fromkeys(names, drawn)
    if kind == "regression":
        logits["Poisson"] = np.abs(drawn)  # a rate
    rows = own_heads(tasks, logits)
    rows.model.compile("sgd", metrics=[], run_eagerly=True)
    y = dict.fromkeys(names, hidden(labels))
    logs = rows.model.evaluate(rows.x, y, batch_size=ROWS, verbose=0, return_dict=True)
    return labels, logits, logs


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # JAX, of Keras' integers
@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_that_of_the_labelled_rows_or_refused(name, kind):
    right = metric_of(name)
    if is_refused(name, kind):
        with pytest.raises(ValueError, match=r"(?s)must .*Received: "):
            logged(kind, *data(kind), metrics=[right])
        return
    labels, logits, logs = all_metrics(kind)
    predictions = ACTIVATION.get(kind, lambda x: x)(logits).astype("float32")
    right.update_state(right_labels(right, kind, labels)[KNOWN], predictions[KNOWN])
    np.testing.assert_allclose(as_numpy(logs[f"a_{name}"]), as_numpy(right.result()), 1e-4, 1e-6)


@pytest.mark.parametrize("kind", UNITS)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_the_labelled_rows_or_refused(name, kind):
    loss = getattr(keras.losses, name)()
    if is_refused(name, kind):
        with pytest.raises(ValueError, match=r"(?s)must .*Received: "):
            logged(kind, *data(kind), loss=loss, metrics=[])
        return
    labels, logits, logs = all_losses(kind)
    predictions = ACTIVATION.get(kind, lambda x: x)(logits[name]).astype("float32")
    right = loss(right_labels(loss, kind, labels)[KNOWN], predictions[KNOWN])
    assert float(logs[f"{name}_loss"]) == pytest.approx(float(right), 1e-4, 1e-6)


@pytest.mark.parametrize("metric", [keras.metrics.Precision, keras.metrics.Recall])
def test_figures_of_one_class(metric):
    labels, logits = data("multiclass")
    logits[:12, 1] += 2  # some are found
    logs = logged("multiclass", labels, logits, metrics=[metric(class_id=1, name="m")])
    right = metric(class_id=1)
    right.update_state(np.eye(CLASSES)[labels][KNOWN], softmax(logits)[KNOWN])
    assert 0 < float(right.result()) < 1
    assert float(logs["a_m"]) == pytest.approx(float(right.result()))


def test_losses_and_metrics_of_a_users_own_get_class_ids():
    seen = {}

    def loss(y_true, y_pred):
        seen["loss"] = keras.backend.standardize_dtype(y_true.dtype), *y_true.shape, *y_pred.shape
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    def metric(y_true, y_pred):
        seen["metric"] = keras.backend.standardize_dtype(y_true.dtype), *y_true.shape, *y_pred.shape
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    labels, logits = data("multiclass")
    logs = logged("multiclass", labels, logits, loss=loss, metrics=[metric])
    right = -np.log(softmax(logits)[np.arange(ROWS), labels])[KNOWN].mean()
    assert float(logs["a_loss"]) == pytest.approx(right, 1e-4)
    assert float(logs["a_metric"]) == pytest.approx(right, 1e-4)
    assert seen == {
        "loss": ("int32", ROWS, 1, ROWS, 1, CLASSES),
        "metric": ("int32", ROWS, ROWS, CLASSES),
    }


def test_what_is_derived_from_keras_takes_what_that_takes():
    class OneHot(keras.losses.CategoricalCrossentropy):
        pass

    class Ids(keras.metrics.SparseCategoricalAccuracy):
        pass

    class Own(keras.losses.Loss):
        pass

    assert takes_one_hot(OneHot())
    assert not takes_one_hot(Ids())
    assert not takes_one_hot(Own())
    assert takes_one_hot(keras.metrics.MeanMetricWrapper(keras.losses.kl_divergence))
    assert not takes_one_hot(keras.metrics.MeanMetricWrapper(lambda y, p: y))


def test_hinges_count_columns_by_themselves():
    labels, logits = data("multilabel")
    labels = np.where(RNG.random(labels.shape) < 0.3, np.nan, labels)
    rows = own_heads([Task("a", "multilabel", CLASSES)], {"a": logits})
    logs, _ = rows.step({"a": labels}, loss=keras.losses.Hinge())
    known = ~np.isnan(labels)
    entries = np.maximum(1 - (2 * labels - 1) * sigmoid(logits), 0)[known]
    assert logs["a_loss"] == pytest.approx(entries.mean(), 1e-5)
