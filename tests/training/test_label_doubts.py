"""Labels that count, though they may not mean what a task takes them for: one warning."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_mtl import Task
from tests.training.free_logits import own_heads

ROWS = 6
CHAIN = [
    Task("click"),
    Task("cart", given="click"),
    Task("buy", given="cart", trained_on="all"),
    Task("price", "regression", given="click"),
    Task("tags", "multilabel", 2, given="click"),
]


def compiled(tasks, **options):
    logits = {task.name: np.linspace(-1, 1, ROWS * task.units).reshape(ROWS, -1) for task in tasks}
    rows = own_heads(tasks, logits)
    rows.model.compile(keras.optimizers.SGD(0.0), **{"run_eagerly": True, **options})
    return rows


def said(call):
    """What the package warns of in `call`; Keras has warnings of its own for a dataset."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(each.message) for each in caught if "/keras_mtl/" in each.filename]


@pytest.mark.parametrize("form", ["arrays", "dataset", "validation", "evaluate"])
def test_labels_that_contradict_what_is_given_are_counted(form):
    y = {
        "click": np.array([1, 0, 0, -1, 1, 1]),
        "cart": np.array([1, 1, 0, 1, 0, 1]),  # of row 1
        "buy": np.array([1, 1, 1, 1, 1, 0]),  # of rows 1, 2 and 4: click or cart is 0
        "price": np.array([1.0, 1.0, 2.0, 1.0, 3.0, 1.0]),
        "tags": np.array([[1, 1], [1, 1], [0, 1], [1, 1], [1, 0], [0, 0]]),  # of rows 1 and 2
    }
    right = y | {"cart": y["cart"] * (y["click"] == 1), "buy": np.array([1, 0, 0, 0, 0, 0])}
    right["tags"] = y["tags"] * (y["click"] == 1)[:, None]
    rows = compiled(CHAIN)
    data = tf.data.Dataset.from_tensor_slices((rows.x, y)).batch(4)
    calls = {
        "arrays": lambda: rows.model.fit(rows.x, y, batch_size=4, epochs=3, verbose=0),
        "dataset": lambda: rows.model.fit(data, epochs=3, verbose=0),
        "validation": lambda: rows.model.fit(
            rows.x, right, validation_data=(rows.x, y), epochs=3, verbose=0
        ),
        "evaluate": lambda: rows.model.evaluate(rows.x, y, verbose=0),
    }
    told = said(calls[form])
    assert [message.partition(" are 1")[0] for message in told] == [
        "Labels of task 'buy' contradict what it is given: 3",
        "Labels of task 'cart' contradict what it is given: 1",
        "Labels of task 'tags' contradict what it is given: 3",
    ]
    assert said(lambda: rows.model.fit(rows.x, right, verbose=0)) == []


def test_minus_one_is_a_label_of_an_integer_regression_task():
    y = np.array([-1, 1, -1, 1, 1, -1])
    rows = compiled([Task("a", "regression")])
    with pytest.warns(UserWarning, match="The only negative value"):
        found = rows.model.evaluate(rows.x, y, return_dict=True, verbose=0)
    exact = np.mean((np.linspace(-1, 1, ROWS) - y) ** 2)
    assert found["a_loss"] == pytest.approx(exact, rel=1e-5)
    assert found["a_mse"] == pytest.approx(exact, rel=1e-5)
    trained = own_heads([Task("a", "regression")], {"a": np.zeros((ROWS, 1))})
    trained.model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    with pytest.warns(UserWarning, match="The only negative value"):
        trained.model.fit(trained.x, y, epochs=20, verbose=0)
    assert trained.model.predict_on_batch(trained.x)["a"][:, 0] == pytest.approx(y, abs=0.01)


DOUBTFUL = {
    "arrays": (Task("a", "regression"), np.array([-1, 1, 2, 0, -1, 3])),
    "columns": (Task("a", "regression", 2), np.array([[-1, 1], [2, 0], [1, 1]] * 2)),
}
CLEAR = {
    "another negative": (Task("a", "regression"), np.array([-1, 1, -2, 0, -1, 3])),
    "floats": (Task("a", "regression"), np.array([-1.0, 1, 2, 0, -1, 3])),
    "a marker": (Task("a", "regression", missing=-1), np.array([-1, 1, 2, 0, -1, 3])),
    "no marker": (Task("a", "regression", missing=None), np.array([-1, 1, 2, 0, -1, 3])),
    "none negative": (Task("a", "regression"), np.array([4, 1, 2, 0, 0, 3])),
    "classes": (Task("a", "multiclass", 4), np.array([-1, 1, 2, 0, -1, 3])),
}


@pytest.mark.parametrize(("task", "labels"), DOUBTFUL.values(), ids=DOUBTFUL)
@pytest.mark.parametrize("as_dataset", [False, True])
def test_minus_one_as_the_only_negative_value_is_told_once(task, labels, as_dataset):
    rows = compiled([task])
    data = tf.data.Dataset.from_tensor_slices((rows.x, labels)).batch(2)
    arguments = (data,) if as_dataset else (rows.x, labels)
    (told,) = said(lambda: rows.model.fit(*arguments, epochs=2, verbose=0))
    assert "regression task 'a' is -1, in 2 labels" in told
    assert "Task(missing=-1)" in told


@pytest.mark.parametrize(("task", "labels"), CLEAR.values(), ids=CLEAR)
def test_no_other_label_is_doubtful(task, labels):
    rows = compiled([task])
    assert said(lambda: rows.model.fit(rows.x, labels, verbose=0)) == []


HOLES = np.array([0, 0, 1, 0, 0, 0], bool)
FORMS_WITH_HOLES = {
    "masked": lambda labels: np.ma.array(labels, mask=HOLES),
    "nullable": lambda labels: pd.Series(labels, dtype="Int64").mask(HOLES),
}


@pytest.mark.parametrize("form", FORMS_WITH_HOLES.values(), ids=FORMS_WITH_HOLES)
@pytest.mark.parametrize("by_name", [True, False])
def test_minus_one_is_told_of_where_integer_labels_have_holes(form, by_name):
    rows = compiled([Task("a", "regression")])
    y = form(np.array([-1, 1, -2, 0, -1, 3]))
    told = said(lambda: rows.model.fit(rows.x, {"a": y} if by_name else y, epochs=2, verbose=0))
    assert len(told) == 1
    assert "regression task 'a' is -1, in 2 labels" in told[0]
    y = form(np.array([-1, -2, 0, 0, -1, 3]))
    assert said(lambda: rows.model.fit(rows.x, {"a": y}, verbose=0)) == []
