"""`adapt` and `encode` against plain Python, whatever holds the columns."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_mtl.features import Category, Numeric, TabularFeatures
from tests.features import plain_encoding as plain


def assert_packed_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_layout(table, unseen):
    packed = table.encode(unseen)
    assert list(packed) == ["categorical", "clicks", "history", "numeric"]  # as trees sort them
    assert packed["categorical"].shape == (80, 7)
    assert packed["categorical"].dtype == packed["history"].dtype == np.int32
    assert packed["numeric"].shape == (80, 3)  # age has an indicator, pay has none
    assert packed["numeric"].dtype == np.float32


@pytest.mark.parametrize(
    ("position", "name", "options"),
    [
        (0, "city", {"missing": ("?",)}),
        (1, "code", {"min_count": 20}),
        (2, "year", {"missing": (-1,)}),
    ],
)
def test_vocabulary_ids(table, train, unseen, position, name, options):
    values = list(train[name])
    if name == "city":
        values += [value for row in train["history"] for value in row]
    known = plain.learn(values, **options)
    missing = options.get("missing", ())
    expected = [plain.identify(value, known, missing) for value in unseen[name].tolist()]
    assert table.vocabulary(name) == tuple(known)
    assert table.encode(unseen)["categorical"][:, position].tolist() == expected
    assert {0, 1} < set(expected) or name == "code"


@pytest.mark.parametrize(
    ("position", "name", "buckets", "missing"), [(3, "user", 5, ()), (4, "shop", 7, (0, 1))]
)
def test_hashed_ids(table, unseen, position, name, buckets, missing):
    values = unseen[name].tolist()
    expected = [
        0 if plain.absent(value, missing) else 1 + plain.hash_value(value) % buckets
        for value in values
    ]
    assert table.encode(unseen)["categorical"][:, position].tolist() == expected
    assert 0 in expected


def test_numbers(table, train, unseen):
    numeric = table.encode(unseen)["numeric"]
    age = plain.standardize(unseen["age"].tolist(), train["age"].tolist())
    pay = plain.standardize(unseen["pay"].tolist(), train["pay"].tolist(), log=True)
    np.testing.assert_allclose(numeric[:, 0], age, atol=1e-5)
    np.testing.assert_array_equal(numeric[:, 1], np.isnan(unseen["age"]))
    np.testing.assert_allclose(numeric[:, 2], pay, atol=1e-5)


def test_given_edges_are_closed_below(table, unseen):
    hours = unseen["hours"]
    expected = [1 + sum(edge <= hour for edge in (10, 20.5, 40)) for hour in hours]
    assert table.encode(unseen)["categorical"][:, 6].tolist() == expected


def test_missing_bin_is_zero(table, unseen):
    ids = table.encode(unseen)["categorical"][:, 5]
    np.testing.assert_array_equal(ids == 0, np.isnan(unseen["gain"]))


def test_sequences(table, train, unseen):
    packed = table.encode(unseen)
    cities = list(table.vocabulary("city"))
    clicks = plain.learn(train["clicks"].ravel().tolist(), missing=(0,))
    assert packed["history"].tolist() == [
        plain.pad(row, cities, 3, ("?",)) for row in unseen["history"]
    ]
    assert packed["clicks"].tolist() == [
        plain.pad(row, clicks, 3, (0,)) for row in unseen["clicks"].tolist()
    ]


def test_order_is_by_frequency_then_value():
    values = np.array(["b", "c", "a", "c", "d", "b", "e"])
    table = TabularFeatures(categorical=["x"]).adapt({"x": values})
    assert table.vocabulary("x") == ("b", "c", "a", "d", "e")


def test_given_vocabulary_keeps_its_order():
    table = TabularFeatures([Category("x", vocabulary=["z", "a"])])
    ids = table.adapt({"x": np.array(["q"])}).encode({"x": np.array(["a", "z", "q", ""])})
    assert ids["categorical"].ravel().tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_equal_whole(new_table, train, unseen, size):
    parts = [
        {name: column[start : start + size] for name, column in train.items()}
        for start in range(0, 150, size)
    ]
    whole, streamed = new_table().adapt(train), new_table().adapt(iter(parts))
    assert_close = {"categorical", "history", "clicks"}
    one, other = whole.encode(unseen), streamed.encode(unseen)
    assert_packed_equal({n: one[n] for n in assert_close}, {n: other[n] for n in assert_close})
    np.testing.assert_allclose(one["numeric"], other["numeric"], atol=1e-6)


def test_merged_statistics_equal_whole(new_table, train, unseen):
    one, other = new_table().statistics(), new_table().statistics()
    one.update({name: column[:50] for name, column in train.items()})
    other.update({name: column[50:] for name, column in train.items()})
    other.merge(one)
    merged, whole = new_table().adapt(other), new_table().adapt(train)
    np.testing.assert_allclose(
        merged.encode(unseen)["numeric"], whole.encode(unseen)["numeric"], atol=1e-6
    )
    np.testing.assert_array_equal(
        merged.encode(unseen)["categorical"], whole.encode(unseen)["categorical"]
    )


def test_merge_of_other_columns(new_table):
    with pytest.raises(ValueError, match="`other` must hold the statistics of the same columns"):
        new_table().statistics().merge(TabularFeatures(numeric=["age"]).statistics())


def test_dataframe_equals_dict(new_table, table, train, unseen):
    def frame(data):
        return pd.DataFrame({**data, "clicks": data["clicks"].tolist()})

    assert_packed_equal(new_table().adapt(frame(train)).encode(frame(unseen)), table.encode(unseen))


@pytest.mark.parametrize("name", ["Table", "RecordBatch"])
def test_arrow_equals_dict(name, new_table, train, unseen):
    table = TabularFeatures(
        c for c in new_table().columns if c.name not in ("code", "history", "clicks")
    )
    names = [column.name for column in table.columns]
    table.adapt({name: train[name] for name in names})
    columns = {name: unseen[name] for name in names}
    arrow = getattr(pa, name).from_pydict(columns)
    assert_packed_equal(table.encode(arrow), table.encode(columns))


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pa.Table.from_pydict])
def test_columns_that_the_table_does_not_know_are_ignored(kind):
    data = {"city": ["Rome", "Oslo", "Rome"], "age": [30.0, 40.0, 50.0]}
    more = kind({"id": [7, 8, 9], **data, "label": ["x", None, "y"]})
    one, two = (TabularFeatures(categorical=["city"], numeric=["age"]) for _ in range(2))
    assert one.adapt(more).fingerprint == two.adapt(data).fingerprint
    assert_packed_equal(one.encode(more), two.encode(data))


def test_a_missing_column_is_suggested_among_those_that_are_there(new_table, train):
    data = {"citi" if name == "city" else name: column for name, column in train.items()}
    said = r"Column `city` is missing from the data. Did you mean 'citi'\?"
    table = new_table()
    with pytest.raises(ValueError, match=said):
        table.adapt({**data, "other": train["age"]})
    assert not table.adapted
    with pytest.raises(ValueError, match=said):
        new_table().adapt(train).encode({**data, "other": train["age"]})


def test_bytes_that_are_no_text():
    table = TabularFeatures(categorical=["x"]).adapt({"x": np.array([b"\xe4", b"\xe4", b"a"])})
    assert table.vocabulary("x") == ("\udce4", "a")
    ids = table.encode({"x": np.array([b"\xe4", b"a", b"\xe5"])})["categorical"]
    assert ids.ravel().tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["a", None, "b", "a"]),
        pd.Series(["a", None, "b", "a"], dtype="category"),
        pd.Series(["a", pd.NA, "b", "a"], dtype=object),
        np.array(["a", np.nan, "b", "a"], object),
        np.array(["a", float("nan"), b"b", np.str_("a")], object),
        np.array([b"a", b"", b"b", b"a"]),
        np.array(["a", "", "b", "a"], np.dtypes.StringDType()),
        ["a", None, "b", "a"],
        ["a", float("nan"), "b", "a"],
    ],
    ids=repr,
)
def test_holders_of_strings(values):
    table = TabularFeatures(categorical=["x"]).adapt({"x": values})
    assert table.vocabulary("x") == ("a", "b")
    assert table.encode({"x": values})["categorical"].ravel().tolist() == [2, 0, 3, 2]


@pytest.mark.parametrize(
    "values",
    [
        np.array([7, -(2**63), -1, 7]),
        np.array([7.0, np.nan, -1.0, 7.0], np.float32),
        pd.Series([7, None, -1, 7], dtype="Int64"),
        np.array([np.int32(7), None, -1, 7.0], object),
        [7, None, -1, 7],
    ],
    ids=repr,
)
def test_holders_of_integers(values):
    table = TabularFeatures(categorical=["x"]).adapt({"x": values})
    assert table.vocabulary("x") == (7, -1)
    assert table.encode({"x": values})["categorical"].ravel().tolist() == [2, 0, 3, 2]


def test_booleans_are_zero_and_one():
    data = {"x": np.array([True, False, True]), "y": np.array([True, False, True])}
    table = TabularFeatures(categorical=["x"], numeric=["y"]).adapt(data)
    assert table.vocabulary("x") == (1, 0)
    np.testing.assert_allclose(
        table.encode(data)["numeric"].ravel(), [0.5**0.5, -(2**0.5), 0.5**0.5], rtol=1e-6
    )


def test_constant_and_infinite_numbers():
    data = {"x": np.full(1000, 0.1), "y": np.array([np.inf, 1.0] * 500), "z": [None, 3] * 500}
    columns = [Numeric(name, encoding="standard") for name in "xyz"]
    table = TabularFeatures(columns).adapt(data)
    np.testing.assert_array_equal(
        table.encode(data)["numeric"][:2], [[0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]
    )


def test_column_without_any_value():
    data = {
        "x": np.array([None, None]),
        "y": np.array([np.nan, np.nan]),
        "z": np.array([np.nan] * 2),
    }
    table = TabularFeatures(
        [Category("x"), Numeric("y", encoding="standard"), Numeric("z", bins=4)]
    ).adapt(data)
    packed = table.encode(data)
    assert packed["categorical"].tolist() == [[0, 0], [0, 0]]
    assert packed["numeric"].tolist() == [[0, 1], [0, 1]]


def test_no_rows(table, train):
    packed = table.encode({name: column[:0] for name, column in train.items()})
    assert {name: array.shape[0] for name, array in packed.items()} == dict.fromkeys(packed, 0)


def test_absent_groups_have_no_key():
    table = TabularFeatures([Numeric("x", encoding="standard")]).adapt({"x": [1.0, 2.0]})
    assert list(table.encode({"x": [1.0]})) == ["numeric"]
    assert list(table.inputs) == ["numeric"]
