import numpy as np
import pandas as pd
import pytest

from keras_mtl import zoo
from keras_mtl.datasets import labels_from_long


def test_labels_stand_in_their_row_and_task_and_are_missing_elsewhere():
    rng = np.random.default_rng(0)
    names = np.array([f"school_{index}" for index in range(30)])
    full = rng.normal(size=(30, 50)).astype("float32")
    full[rng.random(full.shape) < 0.7] = np.nan
    task, row = np.nonzero(~np.isnan(full))
    order = rng.permutation(len(row))
    labels = labels_from_long(row[order], names[task[order]], full[task, row][order], num_rows=50)
    assert list(labels) == sorted(names)
    for name, column in zip(names, full, strict=True):
        assert labels[name].dtype == "float32"
        np.testing.assert_array_equal(labels[name], column)


def test_integer_tasks_are_named_by_their_digits():
    labels = labels_from_long([1, 0, 0], np.array([10, 2, 10]), [0, 1, 1], num_rows=2)
    assert {name: column.tolist() for name, column in labels.items()} == {
        "2": pytest.approx([1, np.nan], nan_ok=True),
        "10": [1, 0],
    }


def test_columns_of_a_frame_are_taken():
    frame = pd.DataFrame(
        {
            "row": [0, 1, 1],
            "task": pd.Series(["b", "a", "b"], dtype="category"),
            "label": pd.Series([1, 0, None], dtype="Int64"),
        }
    )
    labels = labels_from_long(frame["row"], frame["task"], frame["label"], num_rows=2)
    np.testing.assert_array_equal(labels["a"], [np.nan, 0])
    np.testing.assert_array_equal(labels["b"], [1, np.nan])
    masked = np.ma.array([1, 0, 5], mask=[False, False, True])
    again = labels_from_long(frame["row"], list(frame["task"]), masked, num_rows=2)
    np.testing.assert_array_equal(again["b"], labels["b"])


def test_a_model_trains_on_them():
    labels = labels_from_long([0, 1, 2, 3], ["a", "b", "b", "a"], [1, 0, 1, 0], num_rows=4)
    model = zoo.shared_bottom(2, list(labels), bottom_units=2, tower_units=(), seed=0)
    model.compile("sgd", run_eagerly=True)
    found = model.evaluate(np.eye(4, 2), labels, return_dict=True, verbose=0)
    assert np.isfinite(list(found.values())).all()


WRONG = {
    "twice": (([1, 0, 1], ["a", "b", "a"], [0, 1, 1], 2), "2 labels of task 'a' in row 1, and 0"),
    "twice of an integer": (([1, 1], [7, 7], [0, 1], 2), "2 labels of task '7' in row 1"),
    "lengths": (([0, 1], ["a"], [1, 1], 2), r"one shape \(N,\). Received: shapes=\[\(2,\), \(1,\)"),
    "out of range": (([0, 2], ["a", "a"], [1, 1], 2), "rows from 0 to 2, num_rows=2"),
    "negative": (([0, -1], ["a", "a"], [1, 1], 2), "rows from -1 to 0"),
    "rows": (([0.5], ["a"], [1], 2), "`rows` must hold integers. Received: dtype=float64"),
    "tasks": (([0], [0.5], [1], 2), "`tasks` must hold names or integers. Received: dtype=float64"),
    "no name": (([0, 1], ["a", None], [1, 1], 2), "must hold names or integers.*dtype=object"),
    "values": (([0], ["a"], ["x"], 2), "`values` must be numbers"),
    "num_rows": (([0], ["a"], [1], 0), "`num_rows` must be"),
}


@pytest.mark.parametrize(("arguments", "match"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        labels_from_long(*arguments)


def test_no_labels_are_no_tasks():
    assert labels_from_long([], [], [], num_rows=3) == {}


HIDDEN = [False, True]


@pytest.mark.parametrize(
    ("rows", "tasks"),
    [
        (np.ma.array([0, 1], mask=HIDDEN), ["a", "a"]),
        ([0, 1], np.ma.array(["a", "b"], mask=HIDDEN)),
        ([0, 1], np.ma.array([1, 2], mask=HIDDEN)),
    ],
)
def test_masked_rows_and_tasks_are_refused(rows, tasks):
    with pytest.raises(ValueError, match=r"must have no masked entries.*Received: 1 masked"):
        labels_from_long(rows, tasks, [1, 0], num_rows=2)
