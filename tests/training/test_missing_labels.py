import numpy as np
import pytest

from keras_mtl import Task
from tests.training.free_logits import own_heads, stacked_heads

ROWS = 6
HIDDEN = np.array([False, True, False, True, False, False])
RNG = np.random.default_rng(2)


def assert_same(first, second, rows=slice(None)):
    """Logs and gradients of two steps, bit for bit."""
    assert first[0] == second[0]
    for name, gradient in first[1].items():
        np.testing.assert_array_equal(gradient[rows], second[1][name][rows])


def mixed_tasks():
    """A task of every kind; labels as floats; logits."""
    tasks = [
        Task("binary"),
        Task("classes", "multiclass", 3),
        Task("columns", "multilabel", 2),
        Task("value", "regression"),
    ]
    labels = {
        "binary": np.array([0.0, 1, 1, 0, 1, 0]),
        "classes": np.array([0.0, 1, 2, 0, 1, 2]),
        "columns": np.array([[0.0, 1], [1, 1], [0, 0], [1, 0], [1, 0], [0, 1]]),
        "value": np.array([0.3, 1.0, -2.0, 4.0, 0.5, 0.0]),
    }
    logits = {task.name: RNG.normal(size=(ROWS, task.units)) for task in tasks}
    return tasks, labels, logits


def with_hidden(labels, marker, dtype):
    """`labels` with the hidden rows marked."""
    hidden = {}
    for name, column in labels.items():
        hidden[name] = column.astype("float64")
        hidden[name][HIDDEN] = marker
        hidden[name] = hidden[name].astype("float32" if name == "value" else dtype)
    return hidden


@pytest.mark.parametrize("weighted", [False, True])
def test_a_hidden_row_changes_nothing(weighted):
    """Loss, metrics and gradients are those of the known rows alone."""
    tasks, labels, logits = mixed_tasks()
    weights = RNG.random(ROWS)
    fit = {"sample_weight": weights} if weighted else {}
    full = own_heads(tasks, logits).step(
        metrics=None, y=with_hidden(labels, np.nan, "float32"), fit=fit
    )
    seen = ~HIDDEN
    alone = own_heads(tasks, {name: values[seen] for name, values in logits.items()}).step(
        metrics=None,
        y={name: values[seen] for name, values in labels.items()},
        fit={"sample_weight": weights[seen]} if weighted else {},
    )
    assert full[0] == pytest.approx(alone[0], rel=1e-6)
    for name, gradient in full[1].items():
        np.testing.assert_allclose(gradient[seen], alone[1][name], rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(gradient[HIDDEN], 0)


def test_predictions_of_hidden_rows_change_nothing():
    tasks, labels, logits = mixed_tasks()
    y = with_hidden(labels, np.nan, "float32")
    first = own_heads(tasks, logits).step(metrics=None, y=y)
    for size in (30.0, -1e4):
        moved = {name: values.copy() for name, values in logits.items()}
        for values in moved.values():
            values[HIDDEN] = size * np.arange(1, 1 + values.shape[-1])
        assert_same(first, own_heads(tasks, moved).step(metrics=None, y=y))


def test_every_marker_means_the_same():
    tasks, labels, logits = mixed_tasks()
    expected = own_heads(tasks, logits).step(metrics=None, y=with_hidden(labels, np.nan, "float32"))
    integers = with_hidden(labels, -1, "int8") | {
        "value": with_hidden(labels, np.nan, "float32")["value"]
    }
    assert_same(expected, own_heads(tasks, logits).step(metrics=None, y=integers))
    for marker, dtype in ((255, "uint8"), (-7, "int64"), (9.5, "float32")):
        marked = [Task(t.name, t.kind, t.units, missing=marker) for t in tasks]
        found = own_heads(marked, logits).step(metrics=None, y=with_hidden(labels, marker, dtype))
        assert_same(expected, found)


def test_without_a_marker_every_label_counts():
    logits = {"a": np.zeros((4, 1))}
    labels = np.array([-1.0, 0.0, 2.0, -1.0])
    rows = own_heads([Task("a", "regression", missing=None)], logits)
    logs, gradients = rows.step(metrics=None, y={"a": labels})
    assert logs["a_loss"] == pytest.approx(1.5)
    assert gradients["a"].ravel() == pytest.approx(-2 * labels / 4)
    # in floats, -1 is a value like any other
    logs, _ = own_heads([Task("a", "regression")], logits).step(metrics=None, y={"a": labels})
    assert logs["a_loss"] == pytest.approx(1.5)


def test_a_marker_holds_for_its_own_task_only():
    names = ["a", "b", "c"]
    logits = {name: np.full((4, 1), 2.0) for name in names}
    labels = np.array([0, 1, 1, 0])
    y = {"a": labels, "b": labels, "c": labels}
    tasks = [Task("a", missing=0), Task("b", missing=1), Task("c")]
    logs, gradients = stacked_heads(tasks, logits).step(metrics=None, y=y)
    assert gradients["a"].ravel().astype(bool).tolist() == [False, True, True, False]
    assert gradients["b"].ravel().astype(bool).tolist() == [True, False, False, True]
    assert gradients["c"].all()
    assert logs["b_loss"] == pytest.approx(np.logaddexp(0, 2), rel=1e-6)
    assert logs["a_loss"] == pytest.approx(np.logaddexp(0, -2), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Labels of task .* contradict:UserWarning")
def test_labels_of_rows_where_a_task_does_not_exist_change_nothing():
    tasks = [Task("click"), Task("buy", given="click")]
    logits = {"click": RNG.normal(size=(ROWS, 1)), "buy": RNG.normal(size=(ROWS, 1))}
    click = np.array([1, 0, 1, -1, 1, 0])
    buy = np.array([1.0, 0, 0, 1, 1, 0])
    first = own_heads(tasks, logits).step(metrics=None, y={"click": click, "buy": buy})
    for other in (1.0, 0.0, np.nan):
        changed = np.where(click == 1, buy, other)
        assert_same(
            first, own_heads(tasks, logits).step(metrics=None, y={"click": click, "buy": changed})
        )


def test_a_weight_of_an_unlabelled_row_may_be_anything():
    tasks, labels, logits = mixed_tasks()
    y = with_hidden(labels, np.nan, "float32")
    weights = RNG.random(ROWS).astype("float32")
    first = own_heads(tasks, logits).step(metrics=None, y=y, fit={"sample_weight": weights})
    for other in (np.nan, np.inf, 1e9):
        changed = np.where(HIDDEN, np.float32(other), weights)
        assert_same(
            first, own_heads(tasks, logits).step(metrics=None, y=y, fit={"sample_weight": changed})
        )


def test_a_batch_without_any_label_of_a_task():
    tasks, labels, logits = mixed_tasks()
    expected = own_heads(tasks, logits).step(metrics=None, y=labels)
    for name in labels:
        y = labels | {name: np.full(labels[name].shape, np.nan)}
        with pytest.warns(UserWarning, match=rf"No labels of task '{name}'.*\b{name} 0\b"):
            logs, gradients = own_heads(tasks, logits).step(metrics=None, y=y)
        undefined = {figure for figure, value in logs.items() if np.isnan(value)}
        assert undefined == {figure for figure in logs if figure.startswith(f"{name}_")}
        assert not gradients[name].any()
        others = [other for other in labels if other != name]
        assert logs["loss"] == pytest.approx(sum(logs[f"{other}_loss"] for other in others))
        for other in others:
            assert logs[f"{other}_loss"] == expected[0][f"{other}_loss"]
            np.testing.assert_array_equal(gradients[other], expected[1][other])


def test_a_batch_without_any_label_at_all():
    logits = {"a": RNG.normal(size=(ROWS, 1)), "b": RNG.normal(size=(ROWS, 1))}
    nothing = np.full(ROWS, np.nan)
    with pytest.warns(UserWarning, match="No labels of task 'a', 'b'.*a 0, b 0"):
        logs, gradients = stacked_heads(["a", "b"], logits).step(
            metrics=None, y={"a": nothing, "b": nothing}
        )
    assert np.isnan(list(logs.values())).all()
    assert not gradients["a"].any()
    assert not gradients["b"].any()


def test_batches_with_and_without_labels_are_one_epoch():
    """The only labels of a task come in one batch; its logged loss is theirs alone."""
    logits = {"a": RNG.normal(size=(ROWS, 1)), "b": RNG.normal(size=(ROWS, 1))}
    y = {"a": np.array([-1, -1, -1, -1, 1, -1]), "b": np.array([1, 0, -1, -1, -1, -1])}
    rows = own_heads(["a", "b"], logits)
    rows.model.compile("sgd", run_eagerly=True)
    found = rows.model.evaluate(rows.x, y, batch_size=2, return_dict=True, verbose=0)
    z = logits["b"][:2, 0]
    assert found["a_loss"] == pytest.approx(np.logaddexp(0, -logits["a"][4, 0]), rel=1e-5)
    assert found["b_loss"] == pytest.approx(np.logaddexp(0, [-z[0], z[1]]).mean(), rel=1e-5)


def test_a_batch_of_one_row():
    tasks, labels, logits = mixed_tasks()
    first = {name: values[:1] for name, values in logits.items()}
    logs, gradients = own_heads(tasks, first).step(
        metrics=None, y={n: values[:1] for n, values in labels.items()}
    )
    assert logs["value_loss"] == pytest.approx((first["value"][0, 0] - 0.3) ** 2, rel=1e-5)
    # One row has one class, and so no curve.
    assert {name for name, value in logs.items() if np.isnan(value)} == {
        "binary_auc",
        "columns_auc",
    }
    assert all(gradient.any() for gradient in gradients.values())
