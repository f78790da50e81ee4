import keras
import numpy as np
import pytest

from keras_mtl import Task
from tests.training.free_logits import own_heads

TASKS = [
    Task("click"),
    Task("buy", given="click"),
    Task("topic", "multiclass", 3),
    Task("tags", "multilabel", 2),
    Task("price", "regression", weight_column="w"),
]
ROWS = 4
Y = {
    "click": np.array([0, 1, 1, -1]),
    "buy": np.array([0, 1, -1, -1]),
    "topic": np.array([0, 1, 2, -1]),
    "tags": np.array([[0, 1], [1, 1], [0, 0], [-1, 1]]),
    "price": np.array([0.0, 1.0, np.nan, 2.0]),
    "w": np.ones(ROWS),
}


@pytest.fixture(scope="module")
def rows():
    logits = {task.name: np.zeros((ROWS, task.units)) for task in TASKS}
    made = own_heads(TASKS, logits)
    made.model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    return made


LABELS = {
    "below": ("click", np.array([0, 1, -2, 0]), r"'click' must be in \[0, 1\].* Received: -2 in 1"),
    "above": ("tags", np.full((4, 2), 2), r"'tags' must be in \[0, 1\].* Received: 2 in 8 of 8"),
    "class": (
        "topic",
        np.array([0, 3, 1, 1]),
        r"'topic' must be classes in \[0, 3\).* 3 in 1 of 4",
    ),
    "half": (
        "topic",
        np.array([0, 1.5, 1, 1]),
        r"'topic' must be classes in \[0, 3\).* Received: 1.5",
    ),
    "float marker": (
        "topic",
        np.array([0.0, -1, 1, 1]),
        r"'topic' must be classes.* Received: -1.0",
    ),
    "NaN marker": ("click", np.array([0, 1, np.inf, np.nan]), r"'click' must be in .* inf in 1"),
    "infinite": ("price", np.array([0, 1, np.inf, 0]), r"'price' must be finite.* Received: inf"),
    "strings": (
        "click",
        np.array(["yes", "no", "no", "no"]),
        r"'click' must be numbers.*<U3",
    ),
    "objects": (
        "click",
        np.array([0, 1, "x", 1], object),
        r"'click' must be numbers.*dtype=object",
    ),
    "too wide": (
        "click",
        np.zeros((4, 2)),
        r"'click' must have shape \(B, 1\) or \(B,\).*\(4, 2\)",
    ),
    "too narrow": (
        "tags",
        np.zeros(4),
        r"'tags' must have shape \(B, 2\)\. Received: shape=\(4,\)",
    ),
    "one-hot": ("topic", np.eye(4)[:, :3], r"'topic' must have shape \(B, 1\) or .*\(4, 3\)"),
    "none": ("price", None, r"Labels must hold every task .* Missing: 'price'"),
}


@pytest.mark.parametrize(("task", "labels", "match"), LABELS.values(), ids=LABELS)
def test_labels_are_refused_before_training(rows, task, labels, match):
    before = rows.model.get_weights()
    y = Y | {task: labels}
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, y, verbose=0)
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, Y, validation_data=(rows.x, y), verbose=0)
    with pytest.raises(ValueError, match=match):
        rows.model.evaluate(rows.x, y, verbose=0)
    for value, unchanged in zip(rows.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, unchanged)


def test_a_task_or_weight_column_that_is_not_there(rows):
    without = {name: column for name, column in Y.items() if name != "buy"}
    with pytest.raises(ValueError, match=r"Missing: 'buy'. Received: \['click'"):
        rows.model.fit(rows.x, without, verbose=0)
    unweighted = {name: column for name, column in Y.items() if name != "w"}
    with pytest.raises(ValueError, match=r"weight column of task 'price'. Missing: 'w'"):
        rows.model.fit(rows.x, unweighted, verbose=0)


def test_labels_of_several_tasks_must_have_names(rows):
    with pytest.raises(
        ValueError, match=r"must be a dict by task name. Received: y of type ndarray"
    ):
        rows.model.fit(rows.x, Y["click"], verbose=0)


@pytest.mark.parametrize("argument", ["loss", "metrics", "weighted_metrics", "loss_weights"])
def test_unknown_tasks_in_compile(rows, argument):
    value = 1.0 if argument == "loss_weights" else "mse"
    match = rf"`{argument}` must be keyed by task. Did you mean 'price'\? Received: 'prise'"
    with pytest.raises(ValueError, match=match):
        rows.model.compile("sgd", **{argument: {"prise": value}})
    assert rows.model.compiled


def test_unknown_tasks_in_fit(rows):
    match = r"`sample_weight` must be keyed by task. Did you mean 'topic'\? Received: 'topics'"
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, Y, sample_weight={"topics": np.ones(ROWS)}, verbose=0)
    match = r"`class_weight` must be keyed by task. Did you mean 'click'\? Received: 'clik'"
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, Y, class_weight={"clik": {0: 1.0}}, verbose=0)


def test_class_weights_that_name_no_class(rows):
    match = r"`class_weight` of the multiclass task 'topic' must map classes in \[0, 3\)"
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, Y, class_weight={"topic": {3: 1.0}}, verbose=0)
    with pytest.raises(ValueError, match="of the regression task 'price'"):
        rows.model.fit(rows.x, Y, class_weight={"price": {0: 1.0}}, verbose=0)


def test_a_list_of_losses_has_no_names(rows):
    with pytest.raises(ValueError, match=r"`loss` must be one loss or a dict by task name"):
        rows.model.compile("sgd", loss=["mse", "mse"])


def test_a_product_takes_no_loss_of_its_own():
    tasks = [Task("click"), Task("buy", given="click", trained_on="all")]
    made = own_heads(tasks, {"click": np.zeros((2, 1)), "buy": np.zeros((2, 1))})
    with pytest.raises(ValueError, match=r"`loss` must leave out .*loss for 'buy'"):
        made.model.compile("sgd", loss={"buy": "mse"})


def test_fit_before_compile_is_told():
    made = own_heads(["a"], {"a": np.zeros((2, 1))})
    with pytest.raises(ValueError, match="compile"):
        made.model.fit(made.x, np.ones(2))
