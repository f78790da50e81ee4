import keras
import numpy as np
import pytest
from keras import ops
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from keras_mtl import Task
from keras_mtl.metrics import AUC
from tests.reference.losses import sigmoid, softmax
from tests.training.free_logits import own_heads, stacked_heads

ROWS = 60
RNG = np.random.default_rng(8)
WEIGHTS = RNG.gamma(1.0, 1.0, ROWS)


def data(kind, units=1):
    labels = RNG.integers(-1, units if kind == "multiclass" else 2, (ROWS, 1))
    if kind in ("multilabel", "regression"):
        labels = RNG.integers(-1, 2, (ROWS, units))
    if kind == "regression":
        labels = np.where(labels < 0, np.nan, RNG.normal(size=labels.shape))
    # Far enough apart for the bins of an AUC, in a random order.
    spread = [RNG.permutation(np.linspace(-3, 3, ROWS)) for _ in range(units)]
    logits = np.stack(spread, axis=-1).astype("float32")
    return labels, logits, ~np.isnan(labels) & (labels != -1)


def step(kind, labels, logits, units=1, weighted=True, metrics=None, **compile_arguments):
    fit = {"sample_weight": WEIGHTS} if weighted else {}
    rows = own_heads([Task("a", kind, units)], {"a": logits})
    return rows.step({"a": labels}, fit, metrics, **compile_arguments)[0]


def test_default_metric_of_a_binary_task():
    labels, logits, known = data("binary")
    auc = roc_auc_score(labels[known], logits[known], sample_weight=WEIGHTS[known[:, 0]])
    assert step("binary", labels, logits)["a_auc"] == pytest.approx(auc, abs=1e-5)


def test_default_metrics_of_stacked_tasks_are_their_own():
    names = ["d", "b", "a", "c", "e"]
    drawn = {name: data("binary") for name in names}
    logs, _ = stacked_heads(names, {n: logits for n, (_, logits, _) in drawn.items()}).step(
        {n: labels for n, (labels, _, _) in drawn.items()},
        {"sample_weight": {"b": WEIGHTS}},
        metrics=None,
    )
    for name, (labels, logits, known) in drawn.items():
        weights = WEIGHTS[known[:, 0]] if name == "b" else None
        auc = roc_auc_score(labels[known], logits[known], sample_weight=weights)
        assert logs[f"{name}_auc"] == pytest.approx(auc, abs=1e-5)


def test_default_metric_of_classes():
    labels, logits, known = data("multiclass", 4)
    rows = known[:, 0]
    right = accuracy_score(labels[rows], logits.argmax(-1)[rows], sample_weight=WEIGHTS[rows])
    assert step("multiclass", labels, logits, 4)["a_accuracy"] == pytest.approx(right, rel=1e-5)


def test_default_metric_of_columns_is_the_mean_over_columns():
    labels, logits, known = data("multilabel", 3)
    aucs = [
        roc_auc_score(labels[k, c], logits[k, c], sample_weight=WEIGHTS[k])
        for c, k in enumerate(known.T)
    ]
    assert step("multilabel", labels, logits, 3)["a_auc"] == pytest.approx(np.mean(aucs), abs=1e-5)


@pytest.mark.parametrize("units", [1, 3])
def test_default_metrics_of_values(units):
    labels, logits, known = data("regression", units)
    logs = step("regression", labels, logits, units)
    errors = (logits - labels)[known]
    weights = np.broadcast_to(WEIGHTS[:, None], known.shape)[known]
    assert logs["a_mse"] == pytest.approx(np.average(errors**2, weights=weights), rel=1e-4)
    assert logs["a_mae"] == pytest.approx(np.average(abs(errors), weights=weights), rel=1e-4)


def test_class_weights_are_not_in_metrics():
    labels, logits, _ = data("binary")
    rows = own_heads([Task("a", class_weight={1: 50.0}), Task("b")], {"a": logits, "b": logits})
    logs, _ = rows.step({"a": labels, "b": labels}, metrics=["accuracy", "auc"])
    assert logs["a_loss"] > 3 * logs["b_loss"]
    assert logs["a_accuracy"] == logs["b_accuracy"]
    assert logs["a_auc"] == logs["b_auc"]


def half_error(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1) / 2


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
def test_own_metrics_of_a_binary_task(argument):
    labels, logits, known = data("binary")
    y, p, w = labels[known], sigmoid(logits)[known], WEIGHTS[known[:, 0]]
    asked = [
        "accuracy",
        keras.metrics.BinaryCrossentropy(name="entropy"),
        AUC(name="curve"),
        keras.metrics.Precision(thresholds=0.4, name="precision"),
        half_error,
        "mae",
    ]
    logs = step("binary", labels, logits, **{argument: asked})
    expected = {
        "a_accuracy": accuracy_score(y, p > 0.5, sample_weight=w),
        "a_entropy": log_loss(y, p, sample_weight=w),
        "a_precision": np.average(y[p > 0.4], weights=w[p > 0.4]),
        "a_half_error": np.average(abs(y - p), weights=w) / 2,
        "a_mae": np.average(abs(y - p), weights=w),
    }
    assert {name: logs[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert logs["a_curve"] == pytest.approx(roc_auc_score(y, p, sample_weight=w), abs=1e-5)
    assert set(logs) == {"loss", "a_loss", "a_curve", *expected}


def test_own_metrics_of_classes():
    labels, logits, known = data("multiclass", 4)
    rows = known[:, 0]
    asked = [
        "accuracy",
        "sparse_categorical_crossentropy",
        "categorical_accuracy",
        keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2"),
        keras.metrics.F1Score(average="macro"),
    ]
    logs = step("multiclass", labels, logits, 4, weighted=False, metrics=asked)
    y, p = labels[rows, 0], softmax(logits)[rows]
    hits = np.mean(p.argmax(-1) == y)
    assert logs["a_accuracy"] == pytest.approx(hits, rel=1e-5)
    assert logs["a_categorical_accuracy"] == pytest.approx(hits, rel=1e-5)
    entropy = log_loss(y, p, labels=range(4))
    assert logs["a_sparse_categorical_crossentropy"] == pytest.approx(entropy, rel=1e-4)
    top2 = np.mean((np.argsort(-p, -1)[:, :2] == y[:, None]).any(-1))
    assert logs["a_top2"] == pytest.approx(top2, rel=1e-5)
    assert logs["a_f1_score"] == pytest.approx(f1_score(y, p.argmax(-1), average="macro"), rel=1e-4)


def test_own_metrics_of_columns_and_of_vectors():
    labels, logits, known = data("regression", 3)
    asked = ["mae", keras.metrics.RootMeanSquaredError(), keras.metrics.CosineSimilarity()]
    logs = step("regression", labels, logits, 3, weighted=False, metrics=asked)
    errors = (logits - labels)[known]
    assert logs["a_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert logs["a_root_mean_squared_error"] == pytest.approx((errors**2).mean() ** 0.5, rel=1e-4)
    rows, filled = known.any(axis=1), np.nan_to_num(labels)
    norms = np.linalg.norm(logits, axis=1) * np.linalg.norm(filled, axis=1)
    cosines = (logits * filled).sum(1)[rows] / norms[rows]
    assert logs["a_cosine_similarity"] == pytest.approx(cosines.mean(), rel=1e-4)


def test_pixels_are_entries_of_metrics():
    labels = RNG.integers(-1, 2, (4, 3, 2, 1))
    logits = RNG.permutation(np.linspace(-3, 3, 24)).reshape(labels.shape)
    known = labels >= 0
    rows = own_heads(["a"], {"a": logits})
    logs, _ = rows.step({"a": labels}, metrics=["accuracy", "auc"])
    assert logs["a_accuracy"] == pytest.approx(np.mean((logits > 0)[known] == labels[known]))
    auc = roc_auc_score(labels[known], logits[known])
    assert logs["a_auc"] == pytest.approx(auc, abs=1e-5)


def test_metrics_for_all_tasks_by_task_and_none():
    tasks = ["a", "b", "c"]
    logits = {name: RNG.normal(size=(ROWS, 1)) for name in tasks}
    y = {name: RNG.integers(0, 2, ROWS) for name in tasks}
    rows = own_heads(tasks, logits)
    hits = {f"{n}_accuracy": np.mean((logits[n][:, 0] > 0) == y[n]) for n in tasks}
    for metrics in ("accuracy", ["accuracy"], keras.metrics.BinaryAccuracy(name="accuracy")):
        logs, _ = rows.step(y, metrics=metrics)
        assert {name: logs[name] for name in hits} == pytest.approx(hits)
        assert "a_auc" not in logs
    logs, _ = rows.step(y, metrics={"b": "accuracy", "c": []})
    names = set(logs) - {"loss", "a_loss", "b_loss", "c_loss"}
    assert names == {"a_auc", "b_accuracy"}
    assert logs["b_accuracy"] == pytest.approx(hits["b_accuracy"])


def test_names_in_logs_are_those_that_were_asked_for():
    logits = {"a": np.ones((3, 1)), "b": np.ones((3, 1))}
    asked = ["AUC", "Precision", "mae", "acc", keras.metrics.Recall(name="found")]
    logs, _ = own_heads(["a", "b"], logits).step(
        {n: np.array([0, 1, 1]) for n in "ab"}, metrics=asked
    )
    metrics = {
        f"{task}_{name}" for task in "ab" for name in ("AUC", "Precision", "mae", "acc", "found")
    }
    assert set(logs) == metrics | {"loss", "a_loss", "b_loss"}


def test_one_metric_object_is_not_shared():
    """Neither by two tasks, nor by two models, nor with its owner."""
    metric = keras.metrics.BinaryAccuracy(name="hits")
    tasks = [Task("a", metrics=metric), Task("b", metrics=[metric])]
    logits = {"a": np.ones((4, 1)), "b": -np.ones((4, 1))}
    y = {"a": np.ones(4), "b": np.ones(4)}
    for _ in range(2):
        logs, _ = own_heads(tasks, logits).step(y, metrics=None)
        assert (logs["a_hits"], logs["b_hits"]) == (1.0, 0.0)
    shared, _ = own_heads(["a", "b"], logits).step(y, metrics={"a": metric, "b": [metric]})
    assert (shared["a_hits"], shared["b_hits"]) == (1.0, 0.0)
    metric.update_state([1, 0], [1.0, 1.0])
    assert float(metric.result()) == 0.5


def test_metrics_of_batches_add_up():
    labels, logits, known = data("binary")
    rows = own_heads(["a"], {"a": logits})
    rows.model.compile("sgd", run_eagerly=True, metrics=["auc", "accuracy"])
    found = rows.model.evaluate(rows.x, labels, batch_size=7, return_dict=True, verbose=0)
    auc = roc_auc_score(labels[known], logits[known])
    assert found["a_auc"] == pytest.approx(auc, abs=1e-5)
    assert found["a_accuracy"] == pytest.approx(np.mean((logits > 0)[known] == labels[known]))
