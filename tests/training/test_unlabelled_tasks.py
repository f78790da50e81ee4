"""A task without a label has no figures: NaN wherever one is logged, and one warning."""

import warnings

import keras
import numpy as np
import pytest

from keras_mtl import Task
from keras_mtl.study.selection import MeanMetric
from tests.training.free_logits import own_heads

ROWS = 8
RNG = np.random.default_rng(5)
TASKS = [
    Task("click"),
    Task("buy", given="click", trained_on="all"),
    Task("topic", "multiclass", 3),
    Task("tags", "multilabel", 2),
    Task("price", "regression"),
    Task("rated", metrics=["accuracy", "mae", keras.metrics.Precision(name="hits")]),
]
LABELS = {
    "click": np.array([0, 1, 1, 0, 1, 1, 0, 1]),
    "buy": np.array([0, 1, 0, 0, 1, 0, 0, 1]),
    "topic": np.array([0, 1, 2, 0, 1, 2, 0, 1]),
    "tags": np.array([[0, 1], [1, 0]] * 4),
    "price": RNG.normal(size=ROWS),
    "rated": np.array([0, 1, 1, 0, 1, 1, 0, 1]),
}
LOGITS = {task.name: RNG.normal(size=(ROWS, task.units)) for task in TASKS}


def compiled(tasks=TASKS, logits=LOGITS, **options):
    rows = own_heads(tasks, logits)
    rows.model.compile(keras.optimizers.SGD(0.1), **{"run_eagerly": True, **options})
    return rows


@pytest.fixture(scope="module")
def rows():
    return compiled()


def without(*names):
    hidden = {name: np.full(LABELS[name].shape, np.nan) for name in names}
    return {**LABELS, **hidden}


def said(call):
    """The result of `call`, and what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(each.message) for each in caught if each.category is UserWarning]


def undefined(logs):
    return {name for name, value in logs.items() if np.any(np.isnan(value))}


@pytest.mark.parametrize("name", [name for name in LABELS if name != "click"])
def test_its_figures_are_nan_and_those_of_other_tasks_as_they_were(rows, name):
    full = rows.model.evaluate(rows.x, LABELS, return_dict=True, verbose=0)
    assert undefined(full) == set()
    # In a funnel, a click of 0 decides that there is no purchase.
    y = without(name, "click") if name == "buy" else without(name)
    found, told = said(lambda: rows.model.evaluate(rows.x, y, return_dict=True, verbose=0))
    gone = {key for key in full if key.startswith((f"{name}_", *(["click_"] * (name == "buy"))))}
    assert undefined(found) == gone
    assert all(found[key] == full[key] for key in found if key not in {*gone, "loss"})
    rest = sum(found[key] for key in found if key.endswith("_loss") and key not in gone)
    assert found["loss"] == pytest.approx(rest, rel=1e-5)
    (warning,) = told
    assert f"'{name}'" in warning
    assert f"{name} 0" in warning
    assert "rated 8" in warning or name == "rated"


def test_one_warning_tells_of_all_epochs_and_their_validation(rows):
    y = without("topic")
    history, told = said(
        lambda: (
            rows.model.fit(rows.x, LABELS, validation_data=(rows.x, y), epochs=3, verbose=0).history
        )
    )
    assert undefined(history) == {"val_topic_loss", "val_topic_accuracy"}
    assert len(told) == 1
    assert "Labels by task: buy 8, click 8, price 8, rated 8, tags 16, topic 0" in told[0]


def test_one_class_has_no_auc_and_no_warning():
    one = compiled(["a", "b"], {name: LOGITS["click"] for name in "ab"})
    y = {"a": np.ones(ROWS), "b": LABELS["click"]}
    found, told = said(lambda: one.model.evaluate(one.x, y, return_dict=True, verbose=0))
    assert undefined(found) == {"a_auc"}
    assert told == []
    columns = compiled([Task("c", "multilabel", 2)], {"c": LOGITS["tags"]})
    y = {"c": np.stack([np.ones(ROWS), LABELS["click"]], axis=-1)}
    mean = columns.model.evaluate(columns.x, y, return_dict=True, verbose=0)["c_auc"]
    y["c"][:, 0] = np.nan
    assert mean == columns.model.evaluate(columns.x, y, return_dict=True, verbose=0)["c_auc"]


def test_a_weight_of_nothing_measures_nothing():
    values = compiled([Task("a", "regression")], {"a": LOGITS["price"]})
    found = values.model.evaluate(
        values.x, LABELS["price"], sample_weight=np.zeros(ROWS), return_dict=True, verbose=0
    )
    assert undefined(found) == {"a_mse", "a_mae"}


def test_without_any_label_there_is_no_loss():
    nothing = np.full(ROWS, -1)
    one = compiled(["a"], {"a": LOGITS["click"]})
    found, told = said(lambda: one.model.evaluate(one.x, nothing, return_dict=True, verbose=0))
    assert undefined(found) == {"loss", "a_loss", "a_auc"}
    assert len(told) == 1
    before = one.model.get_weights()
    step = one.model.train_on_batch(one.x, nothing, return_dict=True)
    assert step["loss"] == 0  # what the optimizer minimised
    assert undefined(step) == {"a_loss", "a_auc"}
    for value, unchanged in zip(one.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, unchanged)


def batches(x):
    """A batch for each epoch, the first without labels of one task."""
    for a in (np.full(ROWS, -1), *[LABELS["click"]] * 3):
        yield x, {"a": a, "b": LABELS["click"]}


@pytest.mark.parametrize(("figure", "mode"), [("a_loss", "min"), ("a_auc", "max")])
def test_no_epoch_without_labels_is_the_best(tmp_path, figure, mode):
    two = compiled(["a", "b"], {name: LOGITS["click"] for name in "ab"})
    options = {"monitor": figure, "mode": mode}
    best = keras.callbacks.EarlyStopping(**options, patience=9, restore_best_weights=True)
    kept = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5", **options, save_best_only=True, save_weights_only=True
    )
    rate = keras.callbacks.ReduceLROnPlateau(**options, patience=9)
    fit = {"steps_per_epoch": 1, "epochs": 3, "callbacks": [best, [kept, rate]], "verbose": 0}
    history, _ = said(lambda: two.model.fit(batches(two.x), **fit).history)
    assert np.isnan(history[figure]).tolist() == [True, False, False]
    numbers = history[figure][1:]
    wanted = min(numbers) if mode == "min" else max(numbers)
    assert [best.best, kept.best, rate.best] == [wanted] * 3
    assert best.best_epoch == history[figure].index(wanted)


def test_a_first_batch_without_labels_ends_no_training():
    one = compiled(["a"], {"a": LOGITS["click"]})
    y = np.where(np.arange(ROWS) < 4, -1, LABELS["click"])
    ends = keras.callbacks.TerminateOnNaN()
    history = one.model.fit(
        one.x, y, batch_size=2, shuffle=False, epochs=2, callbacks=[ends], verbose=0
    ).history
    assert len(history["loss"]) == 2
    assert undefined(history) == set()


def test_two_replicas_and_a_compiled_step_say_the_same(mirrored):
    y = without("topic", "rated")
    with mirrored.scope():
        two = compiled(run_eagerly=False)
    one = compiled(run_eagerly=False, steps_per_execution=2)
    (first, told), (second, told_of_two) = (
        said(
            lambda rows=rows: rows.model.evaluate(
                rows.x, y, batch_size=4, return_dict=True, verbose=0
            )
        )
        for rows in (one, two)
    )
    assert first == pytest.approx(second, rel=1e-5, nan_ok=True)
    assert undefined(first) == {key for key in first if key.startswith(("topic_", "rated_"))}
    assert told == told_of_two


def test_the_mean_of_the_tasks_is_over_those_that_have_a_figure():
    tasks = [Task("a"), Task("b"), Task("c", "regression")]
    logs = {"val_a_auc": np.nan, "val_b_auc": 0.75, "val_c_mse": 0.25}
    MeanMetric(tasks).on_epoch_end(0, logs)
    assert logs["val_mean"] == pytest.approx((0.75 - 0.25) / 2)
    nothing = dict.fromkeys(("val_a_auc", "val_b_auc", "val_c_mse"), np.nan)
    MeanMetric(tasks).on_epoch_end(0, nothing)
    assert np.isnan(nothing["val_mean"])
    without_validation = {"loss": 1.0}
    MeanMetric(tasks).on_epoch_end(0, without_validation)
    assert set(without_validation) == {"loss"}


def test_metrics_of_ones_own_are_nan_where_all_entries_weigh_nothing(rows):
    weights = {"rated": np.zeros(ROWS)}
    logs = rows.model.evaluate(rows.x, LABELS, sample_weight=weights, return_dict=True, verbose=0)
    own = {name: value for name, value in logs.items() if name in {"rated_mae", "rated_hits"}}
    assert len(own) == 2
    assert all(np.isnan(value) for value in own.values())
