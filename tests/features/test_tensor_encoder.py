"""`encode_tensors` gives the numbers of `encode`: eagerly, in tf.data, in a served signature."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures
from keras_mtl.features.hashing import hash_values
from keras_mtl.features.tensor_hashing import hash_tensors


def tensors(data):
    """As a server receives them: "" for a missing string, rows of lists padded."""
    raw = {name: column for name, column in data.items() if name not in ("user", "history")}
    raw["user"] = ["" if value is None else value for value in data["user"]]
    width = max(map(len, data["history"]))
    raw["history"] = [[*row, *[""] * (width - len(row))] for row in data["history"]]
    return {name: tf.constant(np.asarray(column)) for name, column in raw.items()}


def assert_packed_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        array = np.asarray(other[name])
        assert one[name].dtype == array.dtype
        if name == "numeric":
            np.testing.assert_allclose(one[name], array, rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(one[name], array, err_msg=name)


def test_equals_encode(table, unseen):
    assert_packed_equal(table.encode(unseen), table.encode_tensors(tensors(unseen)))


def test_tensors_that_the_table_does_not_know_are_ignored(table, unseen):
    more = tensors(unseen) | {"label": tf.zeros(3)}
    assert_packed_equal(table.encode(unseen), table.encode_tensors(more))


def test_in_a_dataset(new_table, train, unseen):
    fresh = new_table().adapt(train)  # its lookup tables are made while the map is traced
    dataset = tf.data.Dataset.from_tensor_slices(tensors(unseen)).batch(80)
    assert_packed_equal(fresh.encode(unseen), next(iter(dataset.map(fresh.encode_tensors))))


def test_adapts_from_a_dataset(new_table, table, train, unseen):
    dataset = tf.data.Dataset.from_tensor_slices(tensors(train)).batch(64)
    packed = new_table().adapt(dataset).encode(unseen)
    np.testing.assert_array_equal(packed["categorical"], table.encode(unseen)["categorical"])
    np.testing.assert_array_equal(packed["history"], table.encode(unseen)["history"])


def test_ragged_sequences(table, unseen):
    raw = tensors(unseen) | {"history": tf.ragged.constant(unseen["history"], dtype=tf.string)}
    packed = table.encode_tensors(raw)["history"]
    np.testing.assert_array_equal(packed, table.encode(unseen)["history"])


def test_no_rows(table, unseen):
    packed = table.encode_tensors({n: t[:0] for n, t in tensors(unseen).items()})
    assert [packed[name].shape for name in ("categorical", "history")] == [(0, 7), (0, 3)]


def test_floats_stand_for_integers():
    table = TabularFeatures(categorical=["x"]).adapt({"x": [4, 7, 7, None]})
    ids = table.encode_tensors({"x": tf.constant([7.0, float("nan"), 4.0, 5.0])})["categorical"]
    assert ids.numpy().ravel().tolist() == [2, 0, 3, 1]


def test_numbers_out_of_range():
    values = [1.0, 2.0, 5.0, np.nan, np.inf]
    table = TabularFeatures([Numeric("x"), Numeric("y", bins=2)])
    table.adapt({"x": values, "y": values})
    data = {"x": [1e30, -1.0, np.nan, -np.inf], "y": [1e30, -1.0, np.nan, -np.inf]}
    assert_packed_equal(
        table.encode(data), table.encode_tensors({n: tf.constant(c) for n, c in data.items()})
    )


def test_hashes_of_random_texts_and_integers():
    rng = np.random.default_rng(0)
    codes = rng.choice([*range(1, 128), 0xE4, 0x4E2D, 0x1F600], (10_000, 40))
    lengths = rng.integers(1, 41, 10_000)
    texts = ["".join(map(chr, row[:n])) for row, n in zip(codes, lengths, strict=True)]
    np.testing.assert_array_equal(hash_tensors(tf.constant(texts)), hash_values(texts))
    integers = rng.integers(-(2**63), 2**63 - 1, 10_000)
    np.testing.assert_array_equal(
        hash_tensors(tf.constant(integers)), hash_values(integers.tolist())
    )


@pytest.mark.parametrize("values", [[f"user{i}" for i in range(50_000)], list(range(50_000))])
def test_buckets_fill_evenly(values):
    counts = np.bincount((hash_values(values) % np.uint64(500)).astype(int), minlength=500)
    # chi-squared has 499 degrees of freedom, a standard deviation of 32
    assert abs(np.sum((counts - 100) ** 2 / 100) - 499) < 160


def test_signature(table):
    signature = table.serving_signature()
    assert list(signature) == [column.name for column in table.columns]
    assert signature["city"] == tf.TensorSpec([None], tf.string, name="city")
    assert signature["year"] == tf.TensorSpec([None], tf.int64, name="year")
    assert signature["gain"] == tf.TensorSpec([None], tf.float64, name="gain")
    assert signature["clicks"] == tf.TensorSpec([None, None], tf.int64, name="clicks")


def test_served_without_this_package(table, unseen, tmp_path):
    module = tf.Module()
    module.resources = table.lookup_resources()
    serve = tf.function(table.encode_tensors, input_signature=[table.serving_signature()])
    tf.saved_model.save(module, tmp_path / "model", signatures=serve)
    signature = table.serving_signature()
    for name, tensor in tensors(unseen).items():
        serialized = tf.io.serialize_tensor(tf.cast(tensor, signature[name].dtype))
        tf.io.write_file(str(tmp_path / name), serialized)
    script = f"""
import pathlib, sys, numpy, tensorflow as tf
folder = pathlib.Path({str(tmp_path)!r})
serve = tf.saved_model.load(folder / "model").signatures["serving_default"]
raw = {{
    name: tf.io.parse_tensor(tf.io.read_file(str(folder / name)), spec.dtype)
    for name, spec in serve.structured_input_signature[1].items()
}}
numpy.savez(folder / "packed.npz", **{{n: t.numpy() for n, t in serve(**raw).items()}})
assert "keras_mtl" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    assert_packed_equal(table.encode(unseen), dict(np.load(tmp_path / "packed.npz")))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"city": None}, ValueError, "Column `city` is missing"),
        ({"city": tf.constant([1] * 80)}, TypeError, "Column `city` must be of type string"),
        ({"year": tf.constant(["1"] * 80)}, TypeError, "Column `year` must be of type int64"),
        ({"age": tf.constant(["1"] * 80)}, TypeError, "Column `age` must be of type float64"),
        ({"age": tf.zeros((80, 1))}, ValueError, r"Column `age` must have shape \(B,\)"),
        (
            {"clicks": tf.zeros(80, tf.int64)},
            ValueError,
            r"`clicks` must have shape \(B, S\)",
        ),
    ],
)
def test_bad_tensors(table, unseen, change, error, message):
    raw = tensors(unseen) | change
    with pytest.raises(error, match=message):
        table.encode_tensors({name: tensor for name, tensor in raw.items() if tensor is not None})


@pytest.mark.parametrize(("keep", "row"), [("last", [3, 4]), ("first", [2, 3])])
def test_a_sequence_alone_keeps_as_many_as_fit(keep, row):
    columns = [Sequence("s", max_length=2, keep=keep), Category("c", vocabulary="s")]
    table = TabularFeatures(columns)
    data = {"s": [["a", "b", None, "c"], ["a"], []], "c": ["b", "c", "a"]}
    table.adapt(data)
    sent = [[word or "" for word in words] for words in data["s"]]
    raw = {"s": tf.ragged.constant(sent, dtype=tf.string), "c": tf.constant(data["c"])}
    assert_packed_equal(table.encode(data), table.encode_tensors(raw))
    assert table.encode(data)["s"].tolist() == [row, [2, 0], [0, 0]]
