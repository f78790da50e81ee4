"""Numbers that are large beside their spread: read in float64, in training and when served."""

import json

import keras
import numpy as np
import pytest

from keras_mtl.features import Numeric, TabularFeatures

SECONDS = 1.7e9 + np.arange(0, 300, 10)
NANOSECONDS = (SECONDS * 1e9).astype(np.int64)
SPREAD = (np.arange(30) - 14.5) / np.sqrt((30**2 - 1) / 12)  # of mean 0 and variance 1


def adapted(column, values):
    return TabularFeatures([column], embedding_dim=2).adapt({column.name: values})


def numbers(column, values, rows=None):
    table = adapted(column, values)
    return table.encode({column.name: values if rows is None else rows})["numeric"][:, 0]


@pytest.mark.parametrize(
    "values",
    [SECONDS, SECONDS.astype(np.int64), SECONDS.tolist(), NANOSECONDS, -SECONDS[::-1]],
    ids=["float64", "int64", "list", "nanoseconds beyond 2^53", "negative"],
)
def test_a_large_mean_leaves_the_spread_as_it_is(values):
    z = numbers(Numeric("t", encoding="standard"), values)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z, SPREAD, atol=1e-6)
    np.testing.assert_allclose([z[0], z[-1]], [-1.675, 1.675], atol=1e-3)


def test_chunks_and_workers_learn_the_same_of_a_large_mean():
    table = TabularFeatures([Numeric("t", encoding="standard")])
    table.adapt({"t": SECONDS[start : start + 7]} for start in range(0, 30, 7))
    z = table.encode({"t": SECONDS})["numeric"][:, 0]
    np.testing.assert_allclose(z, SPREAD, atol=1e-6)
    one, two = table.statistics(), table.statistics()
    one.update({"t": SECONDS[:11]})
    two.update({"t": SECONDS[11:]})
    two.merge(one)
    merged = TabularFeatures([Numeric("t", encoding="standard")]).adapt(two)
    np.testing.assert_allclose(merged.encode({"t": SECONDS})["numeric"][:, 0], SPREAD, atol=1e-6)


def test_logarithms_of_large_numbers_are_told_apart():
    log = np.log1p(SECONDS)
    expected = (log - log.mean()) / log.std()
    np.testing.assert_allclose(
        numbers(Numeric("t", transform="log", encoding="standard"), SECONDS), expected, atol=1e-5
    )


@pytest.mark.parametrize("bins", [3, [1.7e9 + 100, 1.7e9 + 200]])
@pytest.mark.parametrize("values", [SECONDS, SECONDS.astype(np.int64)])
def test_bins_of_large_numbers_are_filled_evenly(bins, values):
    ids = adapted(Numeric("t", bins=bins), values).encode({"t": values})["categorical"][:, 0]
    assert ids.tolist() == [1] * 10 + [2] * 10 + [3] * 10


def test_constants_and_what_float64_does_not_resolve_stay_small():
    for values in ([0.1] * 3, [1.7e9 + 0.1] * 3, 1.7e18 + np.arange(0, 300, 10), [-3e38] * 2):
        z = numbers(Numeric("t", encoding="standard"), values)
        assert np.abs(z).max() < 3, values
    np.testing.assert_array_equal(
        numbers(Numeric("t", encoding="standard"), [5.0, 5.0], [5.0, 7.0]), [0, 2]
    )


def test_the_smallest_integer_is_a_missing_number():
    values = np.array([1, 3, -(2**63)])
    table = TabularFeatures([Numeric("a", encoding="standard"), Numeric("b", bins=2)]).adapt(
        {"a": values, "b": values}
    )
    for rows in (values, values.astype(float), values.tolist()):
        packed = table.encode({"a": rows, "b": rows})
        assert packed["numeric"].tolist() == [[-1, 0], [1, 0], [0, 1]]
        assert packed["categorical"].ravel().tolist() == [1, 2, 0]


def test_a_given_edge_that_float32_rounds_closes_the_same_bin():
    values = np.array([0.1, 0.6, 0.7, 0.8])
    for held in (values, values.astype("float32")):
        table = adapted(Numeric("x", bins=[0.1, 0.7]), held)
        for rows in (values, values.astype("float32"), values.astype("float32").tolist()):
            assert table.encode({"x": rows})["categorical"][:, 0].tolist() == [2, 2, 3, 3]


def test_bins_of_files_that_hold_edges_alone_are_read():
    table = adapted(Numeric("x", bins=2), [1.0, 2.0])
    config = json.loads(json.dumps(table.get_config()))
    config["learned"]["bins"] = [entry[:2] for entry in config["learned"]["bins"]]
    copy = TabularFeatures.from_config(config)
    assert copy.encode({"x": [1.0, 2.0]})["categorical"].ravel().tolist() == [1, 2]


TABLES = {
    "seconds": (Numeric("t", encoding="standard"), SECONDS),
    "nanoseconds": (Numeric("t", encoding="standard"), NANOSECONDS),
    "fractions": (Numeric("t", encoding="standard"), SECONDS + 0.37),
    "both": (Numeric("t", bins=5, encoding="bins+standard"), SECONDS + 0.37),
    "logarithms": (Numeric("t", transform="log", encoding="standard"), SECONDS),
    "quantile bins": (Numeric("t", bins=5), SECONDS + 0.37),
    "given bins": (Numeric("t", bins=[1.7e9 + 0.37, 1.7e9 + 10.37]), SECONDS + 0.37),
    "small": (Numeric("t", encoding="standard"), SPREAD * 12 + 40),
    "with gaps": (
        Numeric("t", encoding="standard"),
        np.where(np.arange(30) % 4 == 0, np.nan, SECONDS),
    ),
}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's graph")
@pytest.mark.parametrize("name", TABLES)
def test_what_is_served_agrees_with_training_to_a_millionth(name):
    import tensorflow as tf

    column, values = TABLES[name]
    table = adapted(column, values)
    assert table.serving_signature()["t"].dtype == tf.float64
    for raw in (tf.constant(values), tf.constant(values, tf.float64)):
        served = table.encode_tensors({"t": raw})
        for kind, expected in table.encode({"t": values}).items():
            np.testing.assert_allclose(served[kind], expected, rtol=1e-6, atol=1e-6)
            assert served[kind].dtype == expected.dtype
