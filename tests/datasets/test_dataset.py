"""What a load function returns: rows in parts, and what their columns hold."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_mtl import features
from keras_mtl.datasets import Dataset, Split

LABELS = {"a": [1, 0, -1]}


def split(**columns):
    return Split(columns or {"age": [1.0, 2.0, 3.0], "city": ["x", "y", "x"]}, LABELS)


def test_lists_become_arrays():
    rows = Split({"age": [1, None, 3], "words": [["a"], ["b", "c"], []]}, {"a": [[1, 0]] * 3})
    assert rows.labels["a"].shape == (3, 2)
    assert rows.columns["words"].tolist() == [["a"], ["b", "c"], []]
    assert len(rows) == 3


def test_a_data_frame_gives_its_columns_by_position_whatever_its_index():
    frame = pd.DataFrame({"age": [1.0, 2.0, 3.0], "city": ["x", None, "z"]}, index=[7, 5, 5])
    labels = pd.DataFrame(
        {"a": pd.array([1, None, 0], "Int64"), "b": pd.array([True, None, False], "boolean")}
    )
    rows = Split(frame, labels).take(np.array([1, 2]))
    assert rows.columns["age"].tolist() == [2.0, 3.0]
    np.testing.assert_array_equal(rows.labels["a"], [np.nan, 0.0])
    np.testing.assert_array_equal(rows.labels["b"], [np.nan, 0.0])
    assert Split(frame, frame[["age"]].astype("int64")).labels["age"].dtype == "int64"


def test_the_columns_of_a_data_frame_are_encoded_as_the_frame_is():
    frame = pd.DataFrame(
        {
            "age": pd.array([1, None, 3, 8], "Int64"),
            "city": pd.Categorical(["x", None, "z", "x"]),
            "town": pd.array(["x", None, "z", "x"], "string"),
        }
    )
    table = features.TabularFeatures(categorical=["city", "town"], numeric=["age"], embedding_dim=2)
    expected = table.adapt(frame).encode(frame)
    encoded = table.encode(Split(frame, {"a": [0, 1, 0, 1]}).columns)
    for name, values in expected.items():
        np.testing.assert_array_equal(encoded[name], values)


@pytest.mark.parametrize("of", [dict, pa.table, pa.RecordBatch.from_pydict])
def test_arrow_columns_are_encoded_as_lists_are(of):
    lists = {"city": ["x", None, "z"], "age": [1, None, 3], "words": [["a"], ["b", "c"], []]}
    arrow = of({name: pa.array(values) for name, values in lists.items()})
    rows = Split(arrow, of({"a": pa.array([1, None, 0]), "b": pa.array([True, False, True])}))
    assert rows.columns["city"].tolist() == ["x", None, "z"]
    np.testing.assert_array_equal(rows.labels["a"], [1, np.nan, 0])
    assert rows.labels["b"].tolist() == [True, False, True]
    columns = [
        features.Category("city"),
        features.Numeric("age"),
        features.Sequence("words", max_length=2),
    ]
    table = features.TabularFeatures(columns, embedding_dim=2)
    expected = table.adapt(lists).encode(lists)
    for name, values in table.encode(rows.columns).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize(
    ("columns", "labels", "said"),
    [
        ({"age": [1, 2]}, {"a": [1, 0, 1]}, r"one number of rows. Received: .*'age': 2, 'a': 3"),
        ({}, LABELS, "Argument `columns` of a Split must be a dict of arrays"),
        ([1, 2, 3], LABELS, "Argument `columns` of a Split must be a dict of arrays"),
        ({"age": [1, 2, 3]}, {}, "Argument `labels` of a Split must be a dict of arrays"),
        ({"age": 3}, LABELS, "must hold a value for each row. Received: age=3"),
    ],
)
def test_what_is_no_split_is_refused(columns, labels, said):
    with pytest.raises(ValueError, match=said):
        Split(columns, labels)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"valid": None}, "Argument `valid` of a Dataset must be a Split. Received: None"),
        ({"test": Split({"age": [1.0]}, {"a": [1]})}, "must have the same columns"),
        ({"test": Split(split().columns, {"b": [1, 1, 1]})}, "must have the same labels"),
        ({"numeric": ["agee"]}, "`numeric` of a Dataset must name columns.*Did you mean 'age'"),
        ({"numeric": "age"}, "`numeric` of a Dataset must be a list of names"),
        ({"categorical": []}, "must be in one of.*Received: 'city' in none of them"),
        ({"sequences": ["city"]}, "must be in one of.*Received: 'city' in 2 of them"),
        ({"categorical": [], "numeric": []}, r"must say what each one holds.*\(3,\)"),
    ],
)
def test_what_is_no_data_set_is_refused(arguments, said):
    whole = {part: split() for part in ("train", "valid", "test")}
    named = {"categorical": ["city"], "numeric": ["age"]}
    assert Dataset(**whole, **named).categorical == ["city"]
    with pytest.raises(ValueError, match=said):
        Dataset(**{**whole, **named, **arguments})


def test_packed_features_are_one_matrix():
    rows = Split({"features": np.zeros((3, 2))}, LABELS)
    assert Dataset(rows, rows, rows).numeric == []
    vector = Split({"features": np.zeros(3)}, LABELS)
    with pytest.raises(ValueError, match="one array of packed features"):
        Dataset(vector, vector, vector)
