"""Masked arrays, nullable columns, None: what has no value is missing, and never a number."""

import keras
import numpy as np
import pandas as pd
import pytest

from keras_mtl import Task
from tests.training.free_logits import own_heads

ROWS = 6
HIDDEN = np.array([False, True, False, False, True, False])
RNG = np.random.default_rng(4)
TASKS = [
    Task("click"),
    Task("topic", "multiclass", 3),
    Task("tags", "multilabel", 2),
    Task("price", "regression"),
    Task("age", "regression", missing=-7),
]
LOGITS = {task.name: RNG.normal(size=(ROWS, task.units)) for task in TASKS}
# Under a mask stands what would be a label.
LABELS = {
    "click": np.array([0, 1, 1, 0, 1, 1]),
    "topic": np.array([0, 1, 2, 0, 2, 1]),
    "tags": np.array([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1], [0, 1]]),
    "price": np.array([0.5, 99.0, -1.0, 2.0, 99.0, 0.0]),
    "age": np.array([3, 99, -1, 5, 99, 7]),
}
MARKED = {
    name: np.where(HIDDEN.reshape(-1, *[1] * (column.ndim - 1)), mark, column)
    for (name, column), mark in zip(LABELS.items(), (-1, -1, -1, np.nan, -7), strict=True)
}


def masked(column, dtype=None):
    mask = np.broadcast_to(HIDDEN.reshape(-1, *[1] * (column.ndim - 1)), column.shape)
    return np.ma.array(column.astype(dtype or column.dtype), mask=mask)


def nullable(column):
    dtype = "Float64" if column.dtype.kind == "f" else "Int64"
    frame = pd.DataFrame(column).astype(dtype)
    frame = frame.mask(pd.Series(HIDDEN), pd.NA)
    return frame[0] if column.ndim == 1 else frame


def nested(column):
    return [
        np.ma.array(row, mask=np.full(np.shape(row), hidden))
        for row, hidden in zip(column, HIDDEN, strict=True)
    ]


def with_none(column):
    holes = np.where(masked(column).mask, None, column.astype(object))
    return holes.tolist()


def wide(column):
    return masked(column)[:, None] if column.ndim == 1 else masked(column)


FORMS = {
    "masked": masked,
    "masked, with an axis": wide,
    "unsigned": lambda column: masked(column, "uint8" if column.min() >= 0 else None),
    "float32": lambda column: masked(column, "float32"),
    "nullable columns": nullable,
    "lists of masked rows": nested,
    "lists with None": with_none,
}
WAYS = ("fit", "validation", "evaluate", "train_on_batch", "test_on_batch")


@pytest.fixture(scope="module")
def made():
    rows = own_heads(TASKS, LOGITS)
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return rows


def figures(made, way, y, weight=None):
    model, x = made.model, made.x
    if way == "fit":
        logs = model.fit(x, y, sample_weight=weight, verbose=0).history
        return {name: values[-1] for name, values in logs.items()}
    if way == "validation":
        logs = model.fit(x, MARKED, validation_data=(x, y, weight), verbose=0).history
        return {k.removeprefix("val_"): v[-1] for k, v in logs.items() if k.startswith("val_")}
    options = {"verbose": 0} if way == "evaluate" else {}
    return getattr(model, way)(x, y, sample_weight=weight, return_dict=True, **options)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_labels_without_a_value_are_missing(made, form):
    y = {name: form(column) for name, column in LABELS.items()}
    expected = figures(made, "test_on_batch", MARKED)
    assert figures(made, "test_on_batch", y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_masked_labels_are_missing_whichever_way_they_come(made, way):
    expected = figures(made, way, MARKED)
    y = {name: masked(column) for name, column in LABELS.items()}
    assert figures(made, way, y) == pytest.approx(expected, rel=1e-6)
    shown = figures(made, way, LABELS)
    assert all(abs(shown[name] - expected[name]) > 1e-3 for name in expected if "loss" in name)


class Batches(keras.utils.PyDataset):
    """Whole batches, and how often an epoch has ended."""

    def __init__(self, *arrays):
        super().__init__()
        self._arrays, self.epochs = arrays, 0

    def __len__(self):
        return 1

    def on_epoch_end(self):
        self.epochs += 1

    def __getitem__(self, index):
        return self._arrays


def generator(*arrays):
    yield arrays


@pytest.mark.parametrize("form", [Batches, generator])
def test_masked_labels_of_batches_are_missing(made, form):
    expected = figures(made, "evaluate", MARKED)
    y = {name: masked(column) for name, column in LABELS.items()}
    found = made.model.evaluate(form(made.x, y), return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-6)
    logs = made.model.fit(made.x, MARKED, validation_data=form(made.x, y), verbose=0).history
    assert logs["val_price_loss"] == pytest.approx([expected["price_loss"]])
    for batch, match in (
        ((np.ma.array(made.x, mask=np.eye(ROWS)), y), "Inputs must have no masked"),
        ((made.x, y, np.ma.array(np.ones(ROWS), mask=HIDDEN)), "weights must have no masked"),
    ):
        with pytest.raises(ValueError, match=match):
            made.model.evaluate(form(*batch), verbose=0)


def test_a_data_set_of_batches_stays_what_it_is(made):
    batches = Batches(made.x, MARKED)
    made.model.fit(batches, epochs=2, verbose=0)
    assert batches.epochs >= 2


def test_plain_labels_of_one_task_are_missing_where_masked():
    rows = own_heads(["a"], {"a": LOGITS["click"]})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    expected = figures(rows, "evaluate", MARKED["click"])
    assert figures(rows, "evaluate", masked(LABELS["click"])) == expected
    boolean = pd.Series(LABELS["click"] > 0, dtype="boolean").mask(HIDDEN, pd.NA)
    assert figures(rows, "evaluate", boolean) == expected
    assert figures(rows, "evaluate", pd.DataFrame({"a": boolean})) == expected
    assert figures(rows, "evaluate", masked(LABELS["click"] > 0)) == expected


def test_a_split_for_validation_keeps_the_mask():
    rows = own_heads(["a"], {"a": LOGITS["click"]})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    runs = [
        rows.model.fit(rows.x, y, validation_split=0.5, shuffle=False, verbose=0).history
        for y in (masked(LABELS["click"]), MARKED["click"])
    ]
    assert runs[0] == runs[1]


def test_a_masked_label_without_a_marker_is_refused():
    rows = own_heads([Task("a", "regression", missing=None)], {"a": LOGITS["price"]})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    match = r"'a' must have no masked entries, since its `missing` is None. Received: 2 masked"
    with pytest.raises(ValueError, match=match):
        figures(rows, "fit", masked(LABELS["price"]))


def test_labels_of_a_loop_of_ones_own_keep_their_mask(made):
    predictions = made.model(made.x)
    losses = [
        float(made.model.compute_loss(made.x, y, predictions))
        for y in ({name: masked(column) for name, column in LABELS.items()}, MARKED)
    ]
    assert losses[0] == pytest.approx(losses[1])


@pytest.mark.parametrize("way", WAYS)
def test_a_masked_weight_is_refused_where_there_is_a_label(made, way):
    for weight in (np.ma.array(np.ones(ROWS), mask=~HIDDEN), [1.0, None, 1.0, 1.0, None, None]):
        for asked in (weight, {"price": weight}):
            with pytest.raises(ValueError, match=r"must be finite where there is a label.*masked"):
                figures(made, way, MARKED, asked)


def test_a_masked_weight_of_an_unlabelled_row_changes_nothing(made):
    weight = RNG.random(ROWS)
    expected = figures(made, "evaluate", MARKED, weight)
    assert figures(made, "evaluate", MARKED, np.ma.array(weight, mask=HIDDEN)) == expected


def test_a_masked_weight_column_is_refused_where_there_is_a_label():
    rows = own_heads([Task("a", weight_column="w")], {"a": LOGITS["click"]})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    y = {"a": MARKED["click"], "w": np.ma.array(np.ones(ROWS), mask=HIDDEN)}
    figures(rows, "fit", y)
    y["w"][0] = np.ma.masked
    with pytest.raises(ValueError, match=r"Weight column 'w' must be finite .*of 1 labels"):
        figures(rows, "fit", y)


def test_weights_of_a_product_are_read_where_a_parent_decides_it():
    """The product is known where the parent is 0, whatever the task's own label."""
    tasks = [Task("click"), Task("buy", given="click", trained_on="all")]
    rows = own_heads(tasks, {"click": LOGITS["click"], "buy": LOGITS["price"]})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    y = {"click": np.array([1, 0, -1, 1, 1, 0]), "buy": np.array([1, -1, -1, 0, -1, -1])}
    for row, is_read in enumerate([True, True, False, True, False, True]):
        weight = np.ones(ROWS)
        weight[row] = np.nan
        if is_read:
            with pytest.raises(ValueError, match="task 'buy' must be finite"):
                figures(rows, "fit", y, {"buy": weight})
        else:
            assert np.isfinite(figures(rows, "fit", y, {"buy": weight})["buy_loss"])


@pytest.mark.parametrize("way", [*WAYS, "predict", "predict_on_batch"])
def test_masked_inputs_are_refused(made, way):
    x = np.ma.array(made.x, mask=np.eye(ROWS))
    calls = {
        "validation": lambda x: made.model.fit(
            made.x, MARKED, validation_data=(x, MARKED), verbose=0
        ),
        **{name: getattr(made.model, name) for name in ("predict", "predict_on_batch")},
    }
    call = calls.get(way, lambda x: getattr(made.model, way)(x, MARKED))
    for given in (x, list(x), {"rows": x}):
        with pytest.raises(ValueError, match=r"Input 'rows' must have no masked.* 6 masked"):
            call(given)


def test_inputs_of_which_no_entry_is_masked_are_taken(made):
    shown = made.model.predict_on_batch(np.ma.array(made.x))
    plain = made.model.predict_on_batch(made.x)
    assert all(np.array_equal(shown[name], plain[name]) for name in plain)


@pytest.mark.parametrize("form", [Batches, generator])
def test_masked_inputs_of_batches_without_labels_are_refused(made, form):
    x = np.ma.array(made.x, mask=np.eye(ROWS))
    with pytest.raises(ValueError, match=r"Inputs must have no masked entries.* 6 masked"):
        made.model.predict(form(x), verbose=0)
    shown = made.model.predict(form(np.ma.array(made.x)), verbose=0)
    assert np.array_equal(shown["click"], made.model.predict(made.x, verbose=0)["click"])
