"""Numbers too wide for float32 or for 64 bits: a sentence, whichever argument they come by."""

from fractions import Fraction

import numpy as np
import pytest

from keras_mtl import Task, zoo
from tests.hostile.outcomes import refusal

X = np.ones((2, 3), "float32")
Y = {"a": np.ones(2), "v": np.ones(2), "w": np.ones(2)}
BEYOND = {
    "an integer": 10**400,
    "a negative integer": -(10**400),
    "an integer that Python does not print": 10**5000,
    "a fraction": Fraction(10**400, 3),
    "a longdouble": np.longdouble("1e4000"),
    "a float": 1e300,
    "infinity": np.inf,
}
SCALARS = {
    "weight": lambda value: Task("a", weight=value),
    "class_weight": lambda value: Task("a", class_weight={0: value}),
    "loss_weights": lambda value: made().compile(loss_weights={"a": value}),
    "class_weight of fit": lambda value: fit(class_weight={"a": {0: value}}),
}


def made():
    task = Task("v", "regression", weight_column="w")
    model = zoo.shared_bottom(3, ["a", task], bottom_units=2)
    model.compile("sgd", run_eagerly=True)
    return model


def fit(x=X, y=Y, **options):
    made().fit(x, y, verbose=0, **options)


@pytest.mark.parametrize("argument", SCALARS)
def test_weights_that_float32_cannot_hold_get_a_sentence(argument):
    for value in BEYOND.values():
        sentence = refusal(lambda value=value: SCALARS[argument](value))
        assert "must be a finite number" in sentence
        assert len(sentence) < 600


def test_weights_of_every_type_that_float32_holds_are_taken():
    for value in (2, np.int64(2), np.float32(2), np.longdouble(2), Fraction(2)):
        assert Task("a", weight=value).weight == 2.0


def test_markers_that_no_label_can_be_get_a_sentence():
    for value in (10**400, -(10**5000), np.longdouble(1)):
        sentence = refusal(lambda value=value: Task("a", missing=value))
        assert "Argument `missing` must be" in sentence


ARRAYS = {
    "labels": lambda column: fit(y=Y | {"v": column}),
    "weight column": lambda column: fit(y=Y | {"w": column}),
    "sample weights": lambda column: fit(sample_weight=column),
    "sample weights by task": lambda column: fit(sample_weight={"a": column}),
    "inputs": lambda column: fit(x=np.stack([column] * 3, axis=1)),
    "inputs of predict": lambda column: made().predict(np.stack([column] * 3, axis=1)),
    "a batch on its own": lambda column: made().train_on_batch(X, Y | {"v": column}),
    "a generator": lambda column: made().fit(batch(Y | {"v": column}), verbose=0),
}


def batch(*parts):
    yield X, *parts


@pytest.mark.parametrize("way", ARRAYS)
def test_longdouble_arrays_get_a_sentence(way):
    column = np.ones(2, np.longdouble)
    if column.dtype.itemsize == 8:
        pytest.skip("as wide as float64 here")
    assert "at most 64 bits" in refusal(lambda: ARRAYS[way](column))


@pytest.mark.parametrize("way", ["weight column", "sample weights", "sample weights by task"])
def test_rows_weights_that_float32_cannot_hold_get_a_sentence(way):
    assert "must be finite where" in refusal(lambda: ARRAYS[way](np.array([1.0, 1e300])))
    assert "must be numbers" in refusal(lambda: ARRAYS[way]([1, 10**400]))
