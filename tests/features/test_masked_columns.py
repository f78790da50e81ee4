"""Masked values are missing: NumPy's, pandas', and None in lists, whatever is hidden below."""

import numpy as np
import pandas as pd
import pytest

from keras_mtl import zoo
from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures

HIDDEN = np.ma.array([1, 3, 99, 1], mask=[0, 0, 1, 0])
PLAIN = [1, 3, None, 1]
COLUMNS = {
    "masked integers": HIDDEN,
    "masked floats": HIDDEN.astype(float),
    "masked objects": HIDDEN.astype(object),
    "a list of masked": [1, 3, np.ma.masked, 1],
    "pandas' Int64": pd.array(PLAIN, "Int64"),
    "pandas' Float64": pd.array(PLAIN, "Float64"),
    "a series": pd.Series(PLAIN, dtype="Int64"),
}


def make_table():
    return TabularFeatures([Category("a"), Numeric("n", encoding="standard"), Numeric("b", bins=2)])


def of(column):
    return {"a": column, "n": column, "b": column}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_masked_values_are_missing_when_a_table_learns_and_encodes(column):
    expected = make_table().adapt(of(PLAIN))
    table = make_table().adapt(of(column))
    assert table.fingerprint == expected.fingerprint
    assert table.vocabulary("a") == (1, 3)
    for other in (table, expected):
        packed = other.encode(of(column))
        np.testing.assert_array_equal(packed["categorical"], [[2, 1], [3, 2], [0, 0], [2, 1]])
        np.testing.assert_allclose(packed["numeric"][2], [0, 1])
        assert np.abs(packed["numeric"][:, 0]).max() < 1.5


def test_masked_texts_are_missing():
    column = np.ma.array(["x", "hidden", "y"], mask=[0, 1, 0])
    table = TabularFeatures(categorical=["a"]).adapt({"a": column})
    assert table.vocabulary("a") == ("x", "y")
    assert table.encode({"a": column})["categorical"].ravel().tolist() == [2, 0, 3]
    hashed = TabularFeatures([Category("a", hash_buckets=5)]).adapt({"a": column})
    assert hashed.encode({"a": column})["categorical"].ravel()[1] == 0


@pytest.mark.parametrize(
    "rows",
    [
        np.ma.array([[1, 99, 2], [99, 99, 99], [2, 1, 99]], mask=[[0, 1, 0], [1, 1, 1], [0, 0, 1]]),
        [np.ma.array([1, 99, 2], mask=[0, 1, 0]), np.ma.masked, [2, 1, np.ma.masked]],
        [pd.array([1, None, 2], "Int64"), None, pd.array([2, 1], "Int64")],
        [[1, None, 2], None, [2, 1]],
    ],
    ids=["a masked matrix", "masked rows", "pandas' rows", "lists"],
)
def test_masked_entries_of_sequences_are_dropped(rows):
    table = TabularFeatures([Sequence("s", max_length=3)]).adapt({"s": rows})
    assert table.vocabulary("s") == (1, 2)
    assert table.encode({"s": rows})["s"].tolist() == [[2, 3, 0], [0, 0, 0], [3, 2, 0]]


@pytest.mark.parametrize(
    "column",
    [
        pd.array([True, None, False, True], "boolean"),
        pd.Series([True, None, False, True], dtype="boolean"),
        pd.Series([True, None, False, True], dtype=object),
        np.ma.array([True, True, False, True], mask=[0, 1, 0, 0]),
        [True, None, False, True],
        [1, None, 0, 1],
        pd.array([1, None, 0, 1], "Int64"),
    ],
)
def test_truth_values_with_gaps_are_taken_as_integers_with_gaps(column):
    table = make_table().adapt(of(column))
    assert table.vocabulary("a") == (1, 0)
    packed = table.encode(of(column))
    assert packed["categorical"].tolist() == [[2, 2], [0, 0], [3, 1], [2, 2]]
    assert packed["numeric"][1].tolist() == [0, 1]


def test_a_masked_array_is_no_input_of_a_model():
    model = zoo.shared_bottom(2, ["click"], bottom_units=2, tower_units=2)
    x = np.ma.array(np.ones((3, 2)), mask=np.eye(3, 2))
    for inputs in (x, list(x)):
        match = r"Input 'features' must have no masked entries.* 2 masked"
        with pytest.raises(ValueError, match=match) as error:
            model.predict(inputs, verbose=0)
        assert "encode" not in str(error.value)
    assert model.predict(np.ma.array(np.ones((3, 2))), verbose=0)["click"].shape == (3, 1)


def test_the_refusal_tells_where_masked_values_may_stand():
    table = make_table().adapt(of(HIDDEN))
    model = zoo.shared_bottom(table, ["click"], bottom_units=2, tower_units=2)
    x = dict(table.encode(of(HIDDEN)))
    x["numeric"] = np.ma.array(x["numeric"], mask=np.eye(*x["numeric"].shape))
    with pytest.raises(ValueError, match=r"'numeric'.*no masked.*`model.features.encode` reads"):
        model.predict(x, verbose=0)
