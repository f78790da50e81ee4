import numpy as np
import pytest

from keras_mtl import Task, zoo
from tests.reference.losses import task_loss
from tests.training.free_logits import own_heads, stacked_heads

NAMES = ["income_50", "income", "zeta", "income.50-k", "Income", ".a", "5"]
RNG = np.random.default_rng(5)
LOGITS = {name: RNG.normal(size=(9, 1)) for name in NAMES}
LABELS = {name: RNG.integers(-1, 2, (9, 1)) for name in NAMES}


@pytest.mark.parametrize("heads", [own_heads, stacked_heads])
def test_names_that_begin_alike_and_are_not_sorted(heads):
    logs, gradients = heads(NAMES, LOGITS).step(LABELS)
    for name in NAMES:
        loss, gradient = task_loss("binary", LABELS[name], LOGITS[name], LABELS[name] >= 0)
        assert logs[f"{name}_loss"] == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-4, atol=1e-7)


def test_the_order_of_tasks_changes_not_even_a_rounding():
    factors = dict(zip(NAMES, 10.0 ** RNG.permutation(np.arange(-3, 4)), strict=True))
    rng = np.random.default_rng(0)
    reports = []
    for order in (NAMES, NAMES[::-1], *(list(rng.permutation(NAMES)) for _ in range(3))):
        tasks = [str(name) for name in order]
        reports.append(own_heads(tasks, LOGITS).step(LABELS, loss_weights=factors)[0])
    assert all(report == reports[0] for report in reports)


def mixed_data(rows=50):
    rng = np.random.default_rng(6)
    y = {
        "b": rng.integers(-1, 2, rows),
        "a": rng.integers(0, 2, rows),
        "c": rng.integers(0, 3, rows),
        "v": rng.normal(size=rows),
    }
    y["a"][y["b"] == 0] = 0
    return rng.normal(size=(rows, 4)).astype("float32"), y, {"b": rng.random(rows)}


MIXED = [Task("b"), Task("a", given="b"), Task("c", "multiclass", 3), Task("v", "regression")]


def trained(order):
    """Logs and predictions of a model whose tasks, labels and losses come in this order."""
    x, y, weights = mixed_data()
    tasks = [MIXED[index] for index in order]
    model = zoo.ple(4, tasks, levels=1, expert_units=(6,), tower_units=(4,), seed=1)
    y = {task.name: y[task.name] for task in tasks}
    loss_weights = {task.name: 1.0 + MIXED.index(task) for task in tasks}
    model.compile("adam", loss_weights=loss_weights, metrics={"v": ["mse"]})
    fit = {"sample_weight": weights, "epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}
    history = model.fit(x, y, **fit).history
    return history, model.predict(x, verbose=0)


def test_the_order_of_tasks_and_keys_changes_no_number():
    history, predictions = trained([0, 1, 2, 3])
    other_history, other_predictions = trained([3, 1, 0, 2])
    assert other_history == history
    assert list(other_predictions) == [MIXED[index].name for index in (3, 1, 0, 2)]
    for name, values in predictions.items():
        np.testing.assert_array_equal(other_predictions[name], values)


def test_labels_may_hold_more_than_the_model_reads():
    first = own_heads(["a"], {"a": np.ones((4, 1))})
    y = {"a": np.array([0, 1, -1, 1])}
    extra = {"city": np.array(["Rome", "Oslo", "Rome", "Bonn"]), "other": np.full(4, np.nan)}
    assert first.step(y | extra)[0] == first.step(y)[0]
    first.model.compile("sgd", run_eagerly=True)
    valid = first.model.fit(
        first.x, y | extra, validation_data=(first.x, extra | y), verbose=0
    ).history
    assert np.isfinite(valid["val_a_loss"]).all()
