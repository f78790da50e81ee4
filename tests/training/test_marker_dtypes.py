"""The marker of a missing label is compared in the labels' own type, whichever way they come."""

import keras
import numpy as np
import pandas as pd
import pytest

from keras_mtl import Task
from keras_mtl.kinds import is_missing
from tests.training.free_logits import own_heads, stacked_heads

# The marker, and labels of which it is the second and the last; float32 takes others for it, too.
CASES = {
    "largest_int32": (2147483647, np.array([2147483600, 2147483647, 5, 2147483647])),
    "integers": (16777217, np.array([16777216, 16777217, 5, 16777217])),
    "float64": (16777217, np.array([16777216.0, 16777217, 5, 16777217])),
    "beyond_int32": (2**40 + 1, np.array([2**40, 2**40 + 1, 5, 2**40 + 1])),
    "unsigned": (2**64 - 1, np.array([7, 2**64 - 1, 5, 2**64 - 1], "uint64")),
    "tiny": (1e-50, np.array([0.0, 1e-50, 5, 1e-50])),
    "beyond_float32": (1e300, np.array([3e38, 1e300, 5, 1e300])),
    "fraction": (0.1, np.array([0.1 + 1e-12, 0.1, 5, 0.1])),
    "fraction_of_float32": (0.1, np.array([0.2, 0.1, 5, 0.1], "float32")),
    "zero": (0.0, np.array([1e-50, 0.0, 5, -0.0])),
    "rounded_float": (1e20, np.array([2.0, 1e20, 5, 1e20], "float32")),
}
KNOWN = np.array([True, False, True, False])
LABELS = {name: labels for name, (_, labels) in CASES.items()}
EXPECTED = {
    name: pytest.approx(np.mean(labels[KNOWN].astype("float64")), rel=1e-6)
    for name, labels in LABELS.items()
}


def batches(x, y):
    yield x, y


def dataset(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(len(x))


def masked(labels):
    return np.ma.array(np.where(KNOWN, labels, labels.dtype.type(5)), mask=~KNOWN)


FORMS = {
    "array": lambda x, y: (x, y),
    "list": lambda x, y: (x, {name: list(labels) for name, labels in y.items()}),
    "frame": lambda x, y: (x, pd.DataFrame(y)),
    "masked": lambda x, y: (x, {name: masked(labels) for name, labels in y.items()}),
    "dataset": lambda x, y: (dataset(x, y),),
    "generator": lambda x, y: (batches(x, y),),
}


def compiled(markers):
    tasks = [
        Task(name, "regression", missing=marker, loss="mae", metrics=["mae"])
        for name, marker in markers.items()
    ]
    rows = own_heads(tasks, {name: np.zeros((4, 1)) for name in markers})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return rows


@pytest.fixture(scope="module")
def made():
    return compiled({name: marker for name, (marker, _) in CASES.items()})


def assert_all_known_count(logs):
    assert {name: logs[f"{name}_loss"] for name in CASES} == EXPECTED
    assert {name: logs[f"{name}_mae"] for name in CASES} == EXPECTED


@pytest.mark.parametrize("form", FORMS)
def test_what_float32_takes_for_the_marker_is_a_label(made, form):
    data = FORMS[form](made.x, LABELS)
    if form == "dataset" and keras.backend.backend() == "jax":  # which has no 64 bits
        with pytest.raises(ValueError, match="'float64' in a dataset become float32, which cannot"):
            made.model.evaluate(*data, verbose=0)
        return
    assert_all_known_count(made.model.evaluate(*data, return_dict=True, verbose=0))


@pytest.mark.parametrize("way", ["fit", "train_on_batch", "test_on_batch"])
def test_every_way_into_a_model_counts_the_same_labels(made, way):
    options = {"verbose": 0} if way == "fit" else {"return_dict": True}
    logs = getattr(made.model, way)(made.x, LABELS, **options)
    logs = {k: v[-1] for k, v in logs.history.items()} if way == "fit" else logs
    assert_all_known_count(logs)


def test_numpy_and_a_loop_of_ones_own_agree(made):
    for name, (marker, labels) in CASES.items():
        task = Task(name, "regression", missing=marker)
        np.testing.assert_array_equal(~is_missing(task, labels), KNOWN)
    predictions = made.model(keras.ops.convert_to_tensor(made.x))
    made.model.reset_metrics()
    made.model.compute_loss(made.x, LABELS, predictions)
    logs = made.model.compute_metrics(made.x, LABELS, predictions)
    assert_all_known_count({name: float(value) for name, value in logs.items()})


def test_stacked_tasks_of_several_types_have_a_marker_each():
    markers = {"a": 2147483647, "b": 2147483599, "c": 1e-50, "d": "auto", "e": None}
    tasks = [Task(name, "regression", missing=marker) for name, marker in markers.items()]
    labels = {
        "a": np.array([2147483600, 2147483647, 0, 0]),
        "b": np.array([2147483600, 2147483599, 0, 0]),
        "c": np.array([0.0, 1e-50, 1e-50, 1e-50]),
        "d": np.array([1.0, np.nan, np.nan, 2.0]),
        "e": np.array([2147483647, 1, 1, 1]),
    }
    rows = stacked_heads(tasks, {name: np.ones((4, 1)) for name in markers})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    rows.model.evaluate(rows.x, labels, verbose=0)
    assert counts(rows) == [3, 3, 1, 2, 4]


@pytest.mark.parametrize(
    ("marker", "dtype"), [(16777217, "float32"), (-9999, "float16"), (10**200, "float32")]
)
@pytest.mark.parametrize("form", ["array", "dataset"])
def test_floats_that_make_another_number_of_the_marker_are_refused(marker, dtype, form):
    rows = compiled({"a": marker})
    with pytest.raises(ValueError, match=rf"'a' must have a dtype that holds.*dtype={dtype}"):
        rows.model.evaluate(*FORMS[form](rows.x, {"a": np.ones(4, dtype)}), verbose=0)


def test_no_number_of_float32_is_a_marker_that_it_cannot_hold():
    rows = compiled({"a": 1e-50, "b": 1e-40, "c": 1e300})
    labels = np.array([0.0, 3e38, 5.0, 1.0], "float32")
    rows.model.evaluate(rows.x, dict.fromkeys("abc", labels), verbose=0)
    assert counts(rows) == [4, 4, 4]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint64", "int8", "float16"])
def test_masked_labels_are_missing_whether_or_not_their_type_has_the_marker(dtype):
    rows = own_heads([Task("a")], {"a": np.zeros((4, 1))})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    labels = np.ma.array(np.array([1, 0, 1, 1], dtype), mask=~KNOWN)
    rows.model.evaluate(rows.x, {"a": labels}, verbose=0)
    assert counts(rows) == [2]


def counts(rows):
    return np.asarray(rows.model._loss_tracker._counts).tolist()
