"""What each `encoding` of a number makes of it, against the definition in plain Python."""

import bisect
import pickle

import keras
import numpy as np
import pytest

from keras_mtl import zoo
from keras_mtl.features import Category, Numeric, TabularEmbedding, TabularFeatures
from tests.features import plain_encoding as plain

RNG = np.random.default_rng(0)
ROWS = 300
GAPS = RNG.random(ROWS) < 0.1
VALUES = np.where(GAPS, np.nan, RNG.lognormal(0, 2, ROWS).round(2))
UNSEEN = np.array([-5.0, 0.3, 1.0, 50.0, 1e9, np.nan, np.inf, 2.0])

COLUMNS = {
    "both": Numeric("x"),
    "both of a logarithm": Numeric("x", transform="log", bins=7, encoding="bins+standard"),
    "both with edges": Numeric("x", bins=[0.5, 1.0, 2.0], encoding="bins+standard"),
    "bins": Numeric("x", encoding="bins"),
    "given bins": Numeric("x", bins=7),
    "standard": Numeric("x", encoding="standard"),
}


def adapted(column, values=VALUES, **arguments):
    return TabularFeatures([column], embedding_dim=3, seed=0, **arguments).adapt({"x": values})


def expected_arrays(table, column, values):
    """By name of packed array; the edges are the table's, which have tests of their own."""
    missing = [not np.isfinite(value) for value in values]
    arrays = {}
    if "bins" in column.encoding:
        edges = list(table.encoding.bins["x"].edges)
        assert edges == sorted(set(edges))
        ids = [
            0 if gap else 1 + bisect.bisect_right(edges, value)
            for value, gap in zip(values, missing, strict=True)
        ]
        arrays["categorical"] = np.array(ids)[:, None]
    if "standard" in column.encoding:
        z = plain.standardize(values.tolist(), VALUES.tolist(), log=column.transform == "log")
        indicator = [missing] if column.encoding == "standard" else []
        arrays["numeric"] = np.array([z, *indicator], float).T
    return arrays


@pytest.mark.parametrize("name", COLUMNS)
def test_packed_arrays_by_the_definition(name):
    column = COLUMNS[name]
    table = adapted(column)
    for values in (VALUES, UNSEEN):
        packed, expected = table.encode({"x": values}), expected_arrays(table, column, values)
        assert packed.keys() == expected.keys()
        for array in expected:
            np.testing.assert_allclose(packed[array], expected[array], rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graph")
@pytest.mark.parametrize("name", COLUMNS)
def test_tensors_are_encoded_alike(name):
    import tensorflow as tf

    table = adapted(COLUMNS[name])
    packed = table.encode({"x": UNSEEN})
    served = table.encode_tensors({"x": tf.constant(UNSEEN)})
    assert served.keys() == packed.keys()
    for array in packed:
        np.testing.assert_allclose(served[array], packed[array], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("name", "width"), [("both", 4), ("bins", 3), ("standard", 2)])
def test_width_of_a_column(name, width):
    table = adapted(COLUMNS[name])
    packed = table.encode({"x": UNSEEN})
    assert table.embed().shape == table.embed(concatenate=False)["x"].shape == (None, width)
    layer = TabularEmbedding(table, concatenate=False)
    vector = keras.ops.convert_to_numpy(layer(packed)["x"])
    assert vector.shape == (len(UNSEEN), width)
    if name == "both":
        (weight,) = layer.get_weights()
        np.testing.assert_array_equal(vector[:, :3], weight[packed["categorical"][:, 0]])
    if name != "bins":
        np.testing.assert_array_equal(vector[:, -packed["numeric"].shape[1] :], packed["numeric"])


def test_concatenation_holds_all_columns():
    table = TabularFeatures([Numeric("x"), Category("c"), Numeric("y", encoding="standard")])
    data = {"x": VALUES, "c": GAPS.astype(int), "y": VALUES}
    packed = table.adapt(data).encode(data)
    assert packed["categorical"].shape == (ROWS, 2)
    assert packed["numeric"].shape == (ROWS, 1 + 2)
    parts = table.embed(concatenate=False)
    assert {name: part.shape[1] for name, part in parts.items()} == {"x": 9, "c": 8, "y": 2}
    assert table.embed().shape == (None, 9 + 8 + 2)


def test_the_default():
    assert Numeric("x") == Numeric("x", 64, None, None, "bins+standard")
    assert Numeric("x", bins=9).encoding == "bins"
    assert TabularFeatures(numeric=["x"]).columns == (Numeric("x"),)


def test_parts_merge_to_the_same_columns():
    table = TabularFeatures([Numeric("x")])
    one, two = table.statistics(), table.statistics()
    one.update({"x": VALUES[:40]})
    two.update({"x": VALUES[40:]})
    one.merge(two)
    packed, expected = (TabularFeatures([Numeric("x")]).adapt(d) for d in (one, {"x": VALUES}))
    assert packed.encoding.bins == expected.encoding.bins
    np.testing.assert_allclose(
        packed.encode({"x": UNSEEN})["numeric"],
        expected.encode({"x": UNSEEN})["numeric"],
        rtol=1e-6,
    )


@pytest.mark.parametrize(("bins", "encoding"), [(None, "standard"), (9, "bins")])
def test_files_from_before_the_argument_are_read_as_they_were(bins, encoding):
    column = Numeric.from_config({"name": "x", "bins": bins, "transform": None, "dim": None})
    assert column == Numeric("x", bins=bins, encoding=encoding)
    config = adapted(column).get_config()
    for saved in config["columns"]:
        del saved["config"]["encoding"]
    again = TabularFeatures.from_config(config)
    assert again.columns == (column,)
    assert again.fingerprint == adapted(column).fingerprint


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_comes_back(name):
    table = adapted(COLUMNS[name])
    again = TabularFeatures.from_config(table.get_config())
    assert again.columns == table.columns
    assert again.fingerprint == table.fingerprint
    for array, values in table.encode({"x": UNSEEN}).items():
        np.testing.assert_array_equal(again.encode({"x": UNSEEN})[array], values)


def test_encodings_differ_in_the_fingerprint():
    options = [{"encoding": e} for e in ("bins+standard", "bins", "standard")]
    prints = {adapted(Numeric("x", **each)).fingerprint for each in options}
    assert len(prints) == 3


def test_a_number_trains_both_its_bin_and_its_slope():
    x = RNG.normal(size=64)
    table = TabularFeatures([Numeric("x", bins=4, encoding="bins+standard")], seed=0).adapt(
        {"x": x}
    )
    model = zoo.shared_bottom(table, ["click"], bottom_units=4, tower_units=2, seed=0)
    model.compile(keras.optimizers.SGD(0.5))
    before = model.get_weights()
    model.fit(table.encode({"x": x}), {"click": (x > 0).astype(int)}, verbose=0)
    moved = [np.abs(new - old) for new, old in zip(model.get_weights(), before, strict=True)]
    (embeddings,) = (m for m in moved if m.shape == (1 + 4, 8))
    kernel = next(m for m in moved if m.shape[-2:] == (8 + 1, 4))
    assert np.all(embeddings[1:].max(axis=1) > 0)
    assert not embeddings[0].any()  # nothing is missing
    assert np.all(kernel.max(axis=1) > 0)


def test_pickles_from_before_the_argument_are_read_as_they_were():
    state = {"name": "x", "bins": None, "transform": "log", "dim": None}
    column = Numeric.__new__(Numeric)
    column.__setstate__(state)
    assert column == Numeric("x", transform="log", encoding="standard")
    assert pickle.loads(pickle.dumps(Numeric("x"))) == Numeric("x")


@pytest.mark.parametrize(("mean", "deviation"), [(1000, 5), (5000, 5), (-122, 0.1)])
def test_float32_finds_the_bins_of_a_column_with_fractions(mean, deviation):
    x = RNG.normal(mean, deviation, 20_000)
    table = adapted(Numeric("x"), x)
    assert table.encoding.example_dtypes["x"] == "float32"
    unseen = RNG.normal(mean, deviation, 20_000)
    for values in (x, unseen):
        ids, in_float32 = (
            table.encode({"x": v})["categorical"] for v in (values, np.float32(values))
        )
        np.testing.assert_array_equal(ids, in_float32)
    counts = np.bincount(table.encode({"x": x})["categorical"][:, 0])[1:]
    np.testing.assert_allclose(counts, len(x) / 64, rtol=0.05)


def test_bins_stay_as_they_are_where_float32_would_join_them():
    x = 1.7e9 + np.arange(0, 300, 10) + 0.3  # float32 has steps of 128 there
    table = adapted(Numeric("x", bins=5), x)
    assert np.bincount(table.encode({"x": x})["categorical"][:, 0])[1:].tolist() == [6] * 5
    assert table.encoding.example_dtypes["x"] is None
