import keras
import numpy as np
import pytest

from keras_mtl import Task, zoo
from tests.reference.losses import task_loss
from tests.training.free_logits import own_heads

ROWS = 257
RNG = np.random.default_rng(3)


def rare_and_uneven(rows):
    """Labels that are missing unevenly: most of one task's lie in the first rows."""
    value = RNG.normal(size=rows)
    value[40:250] = np.nan
    return {
        "click": RNG.integers(0, 2, rows),
        "buy": np.where(RNG.random(rows) < 0.6, -1, RNG.integers(0, 2, rows)),
        "topic": np.where(np.arange(rows) % 5, -1, RNG.integers(0, 3, rows)),
        "value": value,
    }


TASKS = [
    Task("click"),
    Task("buy", given="click", weight=2.0),
    Task("topic", "multiclass", 3, class_weight={0: 3.0}),
    Task("value", "regression", weight=0.5),
]


def expected_losses(y, logits, weights):
    """Every task's loss over all rows, by the definition."""
    columns = {name: labels[:, None] for name, labels in y.items()}
    known = {name: np.nan_to_num(labels, nan=-1) > -1 for name, labels in columns.items()}
    known["value"] = ~np.isnan(columns["value"])
    known["buy"] &= columns["click"] == 1
    of_class = np.where(columns["topic"] == 0, 3.0, 1.0)
    losses = {
        f"{task.name}_loss": task_loss(
            task.kind,
            columns[task.name],
            logits[task.name],
            known[task.name],
            weights[:, None] * (of_class if task.name == "topic" else 1.0),
        )[0]
        for task in TASKS
    }
    return losses | {"loss": sum(task.weight * losses[f"{task.name}_loss"] for task in TASKS)}


@pytest.mark.filterwarnings("ignore:Labels of task .* contradict:UserWarning")
@pytest.mark.parametrize("batch_size", [16, 64, 257])
def test_epoch_losses_are_exact_whatever_the_batch_size(batch_size):
    rng = np.random.default_rng(4)
    logits = {task.name: rng.normal(size=(ROWS, task.units)) for task in TASKS}
    y, weights = rare_and_uneven(ROWS), RNG.gamma(1.0, 1.0, ROWS)
    valid, valid_weights = rare_and_uneven(ROWS), RNG.gamma(1.0, 1.0, ROWS)
    rows = own_heads(TASKS, logits)
    rows.model.compile(keras.optimizers.SGD(0.0))
    logs = rows.model.fit(
        rows.x,
        y,
        sample_weight=weights,
        validation_data=(rows.x, valid, valid_weights),
        batch_size=batch_size,
        epochs=2,
        verbose=0,
    ).history
    trained, validated = (
        expected_losses(y, logits, weights),
        expected_losses(valid, logits, valid_weights),
    )
    for name, loss in trained.items():
        assert logs[name] == pytest.approx([loss, loss], rel=1e-6), name
    for name, loss in validated.items():
        assert logs[f"val_{name}"] == pytest.approx([loss, loss], rel=1e-6), name


def test_regularisers_are_logged_once_a_step_on_average():
    model = zoo.shared_bottom(3, ["a"], kernel_regularizer=keras.regularizers.L2(0.1), seed=0)
    model.compile(keras.optimizers.SGD(0.0))
    x, y = RNG.normal(size=(10, 3)), RNG.integers(0, 2, 10)
    found = [model.evaluate(x, y, batch_size=size, return_dict=True, verbose=0) for size in (3, 10)]
    squares = sum(
        np.square(v.numpy()).sum() for v in model.trainable_variables if "kernel" in v.path
    )
    for logs in found:
        assert logs["loss"] - logs["a_loss"] == pytest.approx(0.1 * squares, rel=1e-5)


def test_one_task_keeps_its_prefix_and_takes_plain_arrays():
    logits = RNG.normal(size=(8, 1))
    labels = np.array([0, 1, -1, 1, 0, 0, 1, -1])
    loss, _ = task_loss("binary", labels[:, None], logits, labels[:, None] >= 0)
    rows = own_heads(["a"], {"a": logits})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    fits = {"validation_data": (rows.x, labels), "verbose": 0}
    history = rows.model.fit(rows.x, labels, **fits).history
    assert set(history) == {
        f"{prefix}{name}" for prefix in ("", "val_") for name in ("loss", "a_loss", "a_auc")
    }
    for name in ("loss", "a_loss", "val_loss", "val_a_loss"):
        assert history[name] == pytest.approx([loss], rel=1e-6)
    assert rows.model.fit(rows.x, {"a": labels}, **fits).history == history
    split = rows.model.fit(rows.x, labels, validation_split=0.25, verbose=0).history
    last, _ = task_loss("binary", labels[6:7, None], logits[6:7], np.ones((1, 1), bool))
    assert split["val_a_loss"] == pytest.approx([last], rel=1e-6)


def test_evaluate_lists_what_metrics_names_says():
    rows = own_heads(["b", "a"], {"a": np.ones((2, 1)), "b": np.zeros((2, 1))})
    rows.model.compile("sgd", run_eagerly=True)
    y = {"a": np.array([0, 1]), "b": np.array([1, 0])}
    named = rows.model.evaluate(rows.x, y, return_dict=True, verbose=0)
    listed = rows.model.evaluate(rows.x, y, verbose=0)
    assert dict(zip(rows.model.metrics_names, listed, strict=True)) == named


def test_compiling_again_starts_anew():
    rows = own_heads(["a"], {"a": np.zeros((4, 1))})
    y = {"a": np.array([0, 1, 1, -1])}
    first, _ = rows.step(y)
    second, _ = rows.step(y)
    assert second == first
    third, _ = rows.step(y, loss="mse", metrics=["accuracy"])
    assert set(third) == {"loss", "a_loss", "a_accuracy"}
    assert third["a_loss"] == pytest.approx(0.25)
    assert len(rows.model.metrics) == 2


def test_epochs_do_not_leak_into_each_other():
    rows = own_heads(["a"], {"a": np.zeros((2, 1))})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    fit = {"verbose": 0, "epochs": 2}
    right = rows.model.fit(rows.x, np.array([1, 1]), **fit).history["a_loss"]
    assert right == pytest.approx([np.log(2)] * 2, rel=1e-6)
    with pytest.warns(UserWarning, match="No labels of task 'a'"):
        nothing = rows.model.fit(rows.x, np.array([-1, -1]), **fit).history["a_loss"]
    assert np.isnan(nothing).all()
