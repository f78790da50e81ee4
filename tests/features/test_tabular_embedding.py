"""The layer's numbers against NumPy, and what brings the table back."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_mtl.features import Category, Sequence, TabularEmbedding, TabularFeatures


def only(columns, *names):
    return {name: columns[name] for name in names}


def expected_columns(layer, packed):
    """Every column's vectors, from the layer's weights alone."""
    table, encoding = layer.table, layer.table.encoding
    vectors = {}
    blocks = {}
    for dim in (4, 3):
        weight = next(np.asarray(w) for w in layer.weights if w.shape[1] == dim)
        start = 0
        for column in (*encoding.categorical, *encoding.sequences):
            name = encoding.source_name(column)
            if table.dim(column) == dim and name not in blocks:
                blocks[name] = weight[start : start + encoding.sources[name].size]
                start += encoding.sources[name].size
        assert start == len(weight)
    for position, column in enumerate(encoding.categorical):
        vectors[column.name] = blocks[encoding.source_name(column)][
            packed["categorical"][:, position]
        ]
    for column in encoding.sequences:
        ids = packed[column.name]
        total = (blocks[encoding.source_name(column)][ids] * (ids > 0)[..., None]).sum(1)
        vectors[column.name] = total / np.maximum(1, (ids > 0).sum(1))[:, None]
    vectors["age"] = packed["numeric"][:, :2]
    vectors["pay"] = packed["numeric"][:, 2:]
    return vectors


@pytest.fixture
def packed(table, unseen):
    return table.encode(unseen)


def test_dict_against_numpy(table, packed):
    layer = TabularEmbedding(table, concatenate=False)
    vectors = layer(packed)
    symbols = layer(table.inputs)
    assert {n: s.shape[1:] for n, s in symbols.items()} == {
        n: v.shape[1:] for n, v in vectors.items()
    }
    for name, expected in expected_columns(layer, packed).items():
        np.testing.assert_allclose(vectors.pop(name), expected, atol=1e-6, err_msg=name)
    assert not vectors


def test_concatenation_against_numpy(table, packed):
    layer = TabularEmbedding(table)
    vector = layer(packed)
    columns = expected_columns(layer, packed)
    order = [
        "city",
        "code",
        "year",
        "gain",
        "hours",
        "user",
        "shop",
        "history",
        "clicks",
        "age",
        "pay",
    ]
    np.testing.assert_allclose(vector, np.concatenate([columns[n] for n in order], 1), atol=1e-6)
    assert layer(table.inputs).shape == (None, vector.shape[1])


def test_one_weight_a_width(table):
    layer = TabularEmbedding(table)
    layer.build({})
    assert [w.shape[1] for w in layer.weights] == [4, 3]


def test_columns_that_share_a_vocabulary_share_embeddings(train):
    table = TabularFeatures([Category("city"), Sequence("history", vocabulary="city")])
    table.adapt(only(train, "city", "history"))
    layer = TabularEmbedding(table)
    layer.build({})
    (weight,) = layer.weights
    assert weight.shape[0] == 2 + len(table.vocabulary("city"))


def test_initial_values_depend_on_names_not_on_other_columns(train):
    def rows(names, seed):
        columns = only(train, *names)
        table = TabularFeatures(categorical=names, seed=seed).adapt(columns)
        layer = TabularEmbedding(table, concatenate=False)
        layer.build({})
        return {n: np.asarray(v) for n, v in layer(table.encode(columns)).items()}

    alone, both, other = rows(["city"], 1), rows(["year", "city"], 1), rows(["city"], 2)
    np.testing.assert_array_equal(alone["city"], both["city"])
    assert np.abs(alone["city"] - other["city"]).max() > 0.01


def test_missing_and_unknown_values_start_at_zero():
    table = TabularFeatures(categorical=["x"]).adapt({"x": ["a", "b"]})
    vectors = TabularEmbedding(table)(table.encode({"x": ["", "unseen", "a"]}))
    np.testing.assert_array_equal(vectors[:2], np.zeros((2, 8)))
    assert np.abs(vectors[2]).max() > 0


def test_unpooled_sequence_bears_a_mask(train):
    table = TabularFeatures([Category("city"), Sequence("history", pooling=None, max_length=4)])
    columns = only(train, "city", "history")
    packed = table.adapt(columns).encode(columns)
    vectors = TabularEmbedding(table, concatenate=False)(packed)
    assert vectors["history"].shape == (150, 4, 8)
    np.testing.assert_array_equal(vectors["history"]._keras_mask, packed["history"] > 0)
    assert getattr(vectors["city"], "_keras_mask", None) is None
    assert TabularEmbedding(table, concatenate=False)(table.inputs)["history"].shape == (None, 4, 8)
    with pytest.raises(ValueError, match="`concatenate` must be False where"):
        table.embed()


def test_a_graph_of_ones_own(train):
    table = TabularFeatures([Category("city"), Sequence("history", pooling=None, max_length=4)])
    table.adapt(only(train, "city", "history"))
    columns = table.embed(concatenate=False)
    read = keras.layers.LSTM(5)(columns["history"])
    model = keras.Model(table.inputs, keras.layers.concatenate([columns["city"], read]))
    packed = table.encode(only(train, "city", "history"))
    before = model.predict(packed, verbose=0)
    padding = packed["history"] == 0
    rows = np.flatnonzero(padding.all(1))
    assert len(rows)
    # an empty sequence is masked whole: the LSTM stays at its initial state
    np.testing.assert_array_equal(before[rows, 8:], 0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_training_moves_only_rows_that_occur(table, packed, unseen, jit_compile):
    layer = TabularEmbedding(table)
    model = keras.Model(table.inputs, keras.layers.Dense(1)(layer(table.inputs)))
    before = [np.asarray(w) for w in layer.weights]
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
    model.fit(packed, np.ones(80), batch_size=80, epochs=1, verbose=0)
    seen = set((packed["categorical"][:, 0]).tolist()) | set(packed["history"].ravel().tolist())
    changed = np.abs(np.asarray(layer.weights[0]) - before[0]).max(1) > 0
    size = table.encoding.sources["city"].size
    assert set(np.flatnonzero(changed[:size]).tolist()) - {0} == seen - {0}


def test_mixed_precision(table, packed):
    layer = TabularEmbedding(table, dtype="mixed_float16")
    vector = layer(packed)
    assert keras.backend.standardize_dtype(vector.dtype) == "float16"
    assert {w.dtype for w in layer.weights} == {"float32"}
    assert layer(table.inputs).dtype == "float16"
    assert layer.compute_output_spec(table.inputs).dtype == "float16"
    exact = TabularEmbedding(table)
    exact.build({})
    exact.set_weights(layer.get_weights())
    np.testing.assert_allclose(vector, exact(packed), atol=2e-3)


def build_model(table):
    return keras.Model(table.inputs, keras.layers.Dense(1)(table.embed()))


def test_clone_brings_the_table_back(table, packed, unseen):
    clone = keras.models.clone_model(build_model(table))
    layer = next(x for x in clone.layers if isinstance(x, TabularEmbedding))
    assert layer.table is not table
    with pytest.raises(ValueError, match="`adapt` must come before `embed`"):
        layer.table.adapt(unseen)
    for name, array in layer.table.encode(unseen).items():
        np.testing.assert_array_equal(array, packed[name])


def test_reload_on_jax_in_a_fresh_process(table, packed, unseen, tmp_path):
    model = build_model(table)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "raw.npy", unseen, allow_pickle=True)
    script = f"""
import sys, numpy as np
import keras_mtl.features
assert "tensorflow" not in sys.modules
import keras
model = keras.saving.load_model({str(tmp_path / "model.keras")!r})
table = next(layer.table for layer in model.layers if hasattr(layer, "table"))
packed = table.encode(np.load({str(tmp_path / "raw.npy")!r}, allow_pickle=True).item())
np.save({str(tmp_path / "out.npy")!r}, model.predict(packed, verbose=0))
model.compile("adam", "mse")
assert np.isfinite(model.fit(packed, np.ones(80), verbose=0).history["loss"]).all()
"""
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PATH": ""}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, env=environment)
    np.testing.assert_allclose(
        np.load(tmp_path / "out.npy"), model.predict(packed, verbose=0), atol=1e-5
    )


def test_initializer_and_regularizer_survive(train):
    table = TabularFeatures(
        categorical=["city"], embeddings_initializer="ones", embeddings_regularizer="l2"
    ).adapt(only(train, "city"))
    copy = TabularFeatures.from_config(table.get_config())
    layer = TabularEmbedding(copy)
    layer.build({})
    known = len(copy.vocabulary("city"))
    np.testing.assert_allclose(layer.losses[0], 0.01 * known * 8)
