"""Columns of numbers in `tf.train.Example`s, which hold floats as float32."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_mtl import zoo
from keras_mtl.features import Category, Numeric, TabularFeatures
from keras_mtl.features.quantiles import QuantileSummary
from keras_mtl.serving import check_export
from keras_mtl.serving.signatures import signature_functions

ROWS = 40
RNG = np.random.default_rng(0)
DATA = {
    "age": RNG.normal(40, 12, ROWS),
    "time": 1_700_000_000 + 10 * np.arange(ROWS),
    "hour": 1_700_000_000 + 10 * np.arange(ROWS),
    "city": RNG.choice(["Rome", "Oslo"], ROWS),
}
FRACTIONS = {**DATA, "time": DATA["time"] + 0.3}


def build(data):
    columns = [Numeric("age"), Numeric("time"), Numeric("hour", bins=4), Category("city")]
    table = TabularFeatures(columns, embedding_dim=3, seed=0).adapt(data)
    return zoo.shared_bottom(table, ["click"], bottom_units=4, tower_units=2, seed=0)


def example(row):
    """As a client writes it: integers as integers, floats as floats, nothing where none is."""
    features = {"city": tf.train.Feature(bytes_list=tf.train.BytesList(value=[row["city"]]))}
    features["age"] = tf.train.Feature(float_list=tf.train.FloatList(value=[row["age"]]))
    for name in ("time", "hour"):
        if row[name] is not None:
            value = tf.train.Int64List(value=[row[name]])
            features[name] = tf.train.Feature(int64_list=value)
    features = tf.train.Features(feature=features)
    return tf.train.Example(features=features).SerializeToString()


def test_whole_numbers_that_float32_does_not_resolve_are_parsed_as_integers():
    model = build(DATA)
    rows = {name: column.tolist() for name, column in DATA.items()}
    rows["time"][3] = rows["hour"][5] = None
    rows["city"] = [city.encode() for city in rows["city"]]
    examples = [example(row) for row in pd.DataFrame(rows, dtype=object).to_dict("records")]
    served = signature_functions(model)["examples"]({"examples": tf.constant(examples)})
    expected = model.predict(model.features.encode(rows), verbose=0)["click"]
    np.testing.assert_allclose(served["click"], expected, atol=1e-6)
    assert np.ptp(expected) > 0.01


def test_fractions_that_float32_holds_to_a_ten_thousandth_stay_in_examples():
    kelvin = {**DATA, "time": RNG.normal(300.1, 5.0, ROWS), "hour": RNG.normal(0, 1, ROWS)}
    model = build(kelvin)
    assert "examples" in signature_functions(model)
    assert model.features.encoding.example_dtypes["time"] == "float32"


def test_fractions_that_float32_does_not_resolve_leave_examples_out_and_say_so():
    model = build(FRACTIONS)
    with pytest.warns(UserWarning, match="no signature 'examples'.*does not resolve time") as said:
        functions = signature_functions(model)
    assert len(said) == 1
    assert list(functions) == ["serving_default", "click", "packed"]
    raw = {name: tf.constant(column) for name, column in FRACTIONS.items()}
    raw |= {name: tf.cast(raw[name], tf.float64) for name in ("age", "time", "hour")}
    expected = model.predict(model.features.encode(FRACTIONS), verbose=0)["click"]
    served = functions["serving_default"](raw)["click"]
    np.testing.assert_allclose(served, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "values", "dtype"),
    [
        (Numeric("x"), RNG.normal(40, 12, 500), "float32"),
        (Numeric("x"), np.arange(2000, 2030), "float32"),
        (Numeric("x"), np.float32(RNG.normal(1e6, 1, 500)), "float32"),
        (Numeric("x"), RNG.normal(1e6, 1, 500), None),
        (Numeric("x"), RNG.lognormal(0, 3, 500), "float32"),
        (Numeric("x", transform="log"), RNG.lognormal(0, 3, 500), "float32"),
        (Numeric("x", transform="log"), 1.7e9 + np.arange(0, 300, 10), "int64"),
        (Numeric("x"), 1.7e9 + np.arange(0, 300, 10), "int64"),
        (Numeric("x"), (1.7e18 + 1e9 * np.arange(30)).astype("int64"), "int64"),
        (Numeric("x"), np.array([0, 2**24]), "float32"),
        (Numeric("x"), np.array([0, 2**24 + 1]), "int64"),
        (Numeric("x"), np.array([-(2**24) - 1, 2**24 + 1]), "int64"),
        (Numeric("x"), np.array([2.0**24 + 1, 0.5]), "float32"),
        (Numeric("x", transform="log"), np.array([0, 2**24 + 1]), "int64"),
        (Numeric("x", encoding="standard"), np.array([0, 2**24 + 1]), "int64"),
        (Numeric("x", encoding="standard"), RNG.normal(1e6, 1, 500), None),
        (Numeric("x", encoding="standard"), RNG.normal(40, 12, 500), "float32"),
        (Numeric("x", bins=[5.0]), np.array([0, 2**24]), "float32"),
        (Numeric("x", bins=[5.0]), np.array([0, 2**24 + 1]), "int64"),
        (Numeric("x", bins=8), RNG.normal(size=5000), "float32"),
        (Numeric("x", bins=8), 1.7e9 + np.arange(0, 300, 10), "int64"),
        (Numeric("x", bins=8), 1.7e9 + np.arange(0, 300, 10) + 0.3, None),
    ],
)
def test_the_type_in_which_examples_hold_a_column(column, values, dtype):
    table = TabularFeatures([column]).adapt({"x": values})
    assert table.encoding.example_dtypes == {"x": dtype}
    held = np.asarray(values, dtype or "float64")
    for one, other in zip(
        table.encode({"x": values}).values(), table.encode({"x": held}).values(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_bins_remember_the_whole_numbers_that_a_reduction_drops():
    summary = QuantileSummary(capacity=4)
    summary.update(np.array([2.0**24 + 1, *range(100)]))
    summary.fold()
    assert 2.0**24 + 1 not in summary.values
    assert summary.finish(2).example_dtype == "int64"


def test_samples_with_fractions_of_a_column_read_as_integers_are_refused(tmp_path):
    samples = {**DATA, "time": DATA["time"] + np.where(np.arange(ROWS) == 3, 0.5, 0)}
    with pytest.raises(ValueError, match=r"Column `time` must hold whole.*Received: 1700000030.5"):
        build(DATA).export(tmp_path / "1", verbose=False, samples=samples)
    assert not list(tmp_path.iterdir())


def test_an_export_with_such_columns_passes_its_check(tmp_path):
    build(DATA).export(tmp_path / "1", verbose=False, samples=DATA)
    report = check_export(tmp_path)
    assert report.passed, report
    assert "examples" in report.signatures
