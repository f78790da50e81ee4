"""Packed ids: each column's own, or a sentence; never the row of another column."""

import copy
import pickle

import keras
import numpy as np
import optree
import pytest

from keras_mtl import MultiTaskModel, zoo
from keras_mtl.features import Category, Numeric, Sequence, TabularEmbedding, TabularFeatures
from keras_mtl.serving import signatures

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's assertions, datasets and exports"
)

COLUMNS = {
    "city": ["Rome", "Oslo", "Rome", "Bern"],
    "user": ["a", "b", "c", "d"],
    "age": [20.0, 30.0, 40.0, 50.0],
    "words": [["one"], ["two", "one"], [], ["two"]],
    "seen": [["Rome"], [], ["Oslo", "Bern"], ["Rome"]],
}
LABELS = {"click": np.array([0, 1, 1, 0])}
# Where a column is read in the packed tensors, its number of ids, the id of an unknown value.
PLACES = {
    "city": ("categorical", (0, 0), 5, 1),
    "user": ("categorical", (0, 1), 4, 0),
    "age": ("categorical", (0, 2), 3, 0),
    "words": ("words", (0, 0, 0), 4, 1),
    "n-grams of words": ("words", (0, 0, 2), 7, 0),
    "seen": ("seen", (0, 0), 5, 1),
}
BAD = [(name, bad) for name, (_, _, size, _) in PLACES.items() for bad in (-1, size)]


def make_table(data=COLUMNS):
    """All ids in one weight, where those of another column are next door."""
    columns = [
        Category("city"),
        Category("user", hash_buckets=3),
        Numeric("age", bins=2),
        Sequence("words", max_length=2, ngrams=(2, 3), ngram_buckets=6, max_ngrams=4),
        Sequence("seen", vocabulary="city", max_length=2),
    ]
    return TabularFeatures(columns, embedding_dim=3, seed=0).adapt(data)


@pytest.fixture(scope="module")
def model():
    built = zoo.shared_bottom(make_table(), ["click"], bottom_units=4, tower_units=2, seed=0)
    built.compile(keras.optimizers.SGD(0.0))
    return built


def changed(packed, name, value):
    """Plain arrays, as no table knows them, with one other id."""
    arrays = {key: array.copy() for key, array in packed.items()}
    where, place, _, _ = PLACES[name]
    arrays[where][place] = value
    return arrays


@pytest.mark.parametrize(("name", "bad"), BAD)
def test_arrays_with_ids_beyond_their_own_column_are_refused_by_name(model, name, bad):
    x = changed(model.features.encode(COLUMNS), name, bad)
    column = name.removeprefix("n-grams of ")
    said = rf"Column `{column}` .*must hold ids in \[0, {PLACES[name][2]}\).*Received: .*{bad}"
    calls = [
        lambda: model.fit(x, LABELS, verbose=0),
        lambda: model.fit(model.features.encode(COLUMNS), LABELS, validation_data=(x, LABELS)),
        lambda: model.evaluate(x, LABELS, verbose=0),
        lambda: model.predict(x, verbose=0),
        lambda: model.train_on_batch(x, LABELS),
        lambda: model.test_on_batch(x, LABELS),
        lambda: model.predict_on_batch(x),
        lambda: model.predict(keras.tree.map_structure(keras.ops.convert_to_tensor, x), verbose=0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=said):
            call()


def test_the_last_id_of_each_column_is_taken(model):
    x = model.features.encode(COLUMNS)
    for name, (_, _, size, _) in PLACES.items():
        x = changed(x, name, size - 1)
    assert np.isfinite(model.predict(x, verbose=0)["click"]).all()


@tensorflow_only
@pytest.mark.parametrize(("name", "bad"), [("city", -1), ("user", 4), ("words", 4), ("seen", 5)])
def test_datasets_with_ids_beyond_their_own_column_are_refused(model, name, bad):
    import tensorflow as tf

    x = changed(model.features.encode(COLUMNS), name, bad)
    dataset = tf.data.Dataset.from_tensor_slices((x, LABELS)).batch(4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must hold ids"):
        model.evaluate(dataset, verbose=0)


@tensorflow_only
def test_served_requests_with_ids_beyond_their_own_column_are_refused(model):
    import tensorflow as tf

    serve = signatures.packed_function(model)
    packed = model.features.encode(COLUMNS)
    expected = model.predict(packed, verbose=0)["click"]
    served = serve({name: tf.constant(array) for name, array in packed.items()})["click"]
    np.testing.assert_allclose(served, expected, atol=1e-6)
    for name, bad in BAD:
        x = {key: tf.constant(array) for key, array in changed(packed, name, bad).items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match="must hold ids"):
            serve(x)


@pytest.mark.parametrize("concatenate", [True, False])
@pytest.mark.parametrize(("name", "bad"), BAD)
def test_without_assertions_an_id_out_of_range_is_an_unknown_value(name, bad, concatenate):
    table = make_table()
    layer = TabularEmbedding(table, concatenate)
    packed = table.encode(COLUMNS)
    layer(packed)
    # Rows of missing and unknown values start at zero, where a wrong row would not be seen.
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    unknown = changed(packed, name, PLACES[name][3])
    keras.tree.map_structure(
        lambda found, expected: np.testing.assert_array_equal(found, expected),
        keras.tree.map_structure(keras.ops.convert_to_numpy, layer(changed(packed, name, bad))),
        keras.tree.map_structure(keras.ops.convert_to_numpy, layer(unknown)),
    )


def test_under_xla_an_id_out_of_range_is_an_unknown_value():
    model = zoo.shared_bottom(make_table(), ["click"], bottom_units=4, tower_units=2, seed=0)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    packed = model.features.encode(COLUMNS)
    predict = compiled(model)
    for name, bad in BAD:
        found = predict(changed(packed, name, bad))
        expected = predict(changed(packed, name, PLACES[name][3]))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def compiled(model):
    """The model under XLA, on either backend."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda x: model(x)["click"], jit_compile=True)
    import jax

    return jax.jit(lambda x: model(x)["click"])


def test_rows_of_a_table_that_was_adapted_anew_are_refused(model):
    other = make_table({**COLUMNS, "city": ["Oslo", "Oslo", "Rome", "Bern"]}).encode(COLUMNS)
    calls = [
        lambda: model.fit(other, LABELS, verbose=0),
        lambda: model.evaluate(other, LABELS, verbose=0),
        lambda: model.predict(other, verbose=0),
        lambda: model.train_on_batch(other, LABELS),
        lambda: model.test_on_batch(other, LABELS),
        lambda: model.predict_on_batch(other),
        lambda: model.predict(copy.copy(other), verbose=0),
        lambda: model(other),
        lambda: model.fit(batches(other, LABELS), steps_per_epoch=1, verbose=0),
        lambda: model.predict(batches(other), steps=1, verbose=0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="must be encoded by the model's own table"):
            call()


def test_rows_of_an_equal_table_are_taken(model):
    equal, own = make_table().encode(COLUMNS), model.features.encode(COLUMNS)
    np.testing.assert_array_equal(
        model.predict(equal, verbose=0)["click"], model.predict(own, verbose=0)["click"]
    )


def test_one_packed_input_is_compared_too():
    table = TabularFeatures(categorical=["city"]).adapt({"city": ["a", "b"]})
    other = TabularFeatures(categorical=["city"]).adapt({"city": ["b", "c"]})
    model = zoo.shared_bottom(table, ["click"], bottom_units=2, tower_units=2)
    assert model.predict(table.encode({"city": ["a"]}), verbose=0)["click"].shape == (1, 1)
    with pytest.raises(ValueError, match="must be encoded by the model's own table"):
        model.predict(other.encode({"city": ["b"]}), verbose=0)


@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda packed: pickle.loads(pickle.dumps(packed)),
    ],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_keep_arrays_and_fingerprint(copied):
    table = make_table()
    packed = table.encode(COLUMNS)
    other = copied(packed)
    assert other.fingerprint == table.fingerprint
    assert list(other) == list(packed)
    for name, array in packed.items():
        np.testing.assert_array_equal(other[name], array)


@pytest.mark.parametrize("tree_map", [keras.tree.map_structure, optree.tree_map])
def test_trees_reach_the_arrays_of_encoded_rows(tree_map):
    packed = make_table().encode(COLUMNS)
    first = tree_map(lambda array: array[:2], packed)
    assert first.keys() == packed.keys()
    np.testing.assert_array_equal(first["categorical"], packed["categorical"][:2])


def test_jax_reads_encoded_rows_as_a_tree():
    jax = pytest.importorskip("jax")
    packed = make_table().encode(COLUMNS)
    doubled = jax.jit(lambda x: jax.tree_util.tree_map(lambda array: 2 * array, x))(packed)
    np.testing.assert_array_equal(doubled["categorical"], 2 * packed["categorical"])


def test_graphs_of_keras_alone_take_encoded_rows_without_a_warning():
    table = make_table()
    heads = keras.layers.Dense(1)(table.embed())
    model = keras.Model(table.inputs, heads)
    model.compile("sgd", "mse")
    packed = table.encode(COLUMNS)
    model.fit(packed, LABELS["click"], verbose=0)
    np.testing.assert_allclose(model.predict(packed, verbose=0), model(packed), atol=1e-6)


def nested(table):
    """A model whose embeddings lie within another one."""
    inner = keras.Model(table.inputs, table.embed())
    inputs = {
        name: keras.Input(x.shape[1:], name=name, dtype=x.dtype) for name, x in table.inputs.items()
    }
    heads = {"click": keras.layers.Dense(1, "sigmoid")(inner(inputs))}
    return MultiTaskModel(inputs=inputs, outputs=heads, tasks=["click"])


@pytest.mark.parametrize(("name", "bad"), BAD)
def test_nested_models_refuse_ids_beyond_their_own_column(name, bad):
    table = make_table()
    x = changed(table.encode(COLUMNS), name, bad)
    with pytest.raises(ValueError, match=rf"must hold ids in \[0, {PLACES[name][2]}\)"):
        nested(table).predict(x, verbose=0)


def test_nested_models_compare_and_name_their_table():
    table = make_table()
    other = make_table({**COLUMNS, "city": ["Oslo", "Oslo", "Rome", "Bern"]}).encode(COLUMNS)
    model = nested(table)
    assert model.features is table
    with pytest.raises(ValueError, match="must be encoded by the model's own table"):
        model.predict(other, verbose=0)


def batches(*batch):
    while True:
        yield batch


class Batches(keras.utils.PyDataset):
    def __init__(self, *batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.batch


@pytest.mark.parametrize("make", [batches, Batches])
def test_batches_of_encoded_rows_are_taken(model, make):
    packed = model.features.encode(COLUMNS)
    expected = model.predict(packed, verbose=0)["click"]
    history = model.fit(
        make(packed, LABELS),
        steps_per_epoch=2,
        validation_data=make(packed, LABELS),
        validation_steps=2,
        verbose=0,
    )
    assert np.isfinite(history.history["val_loss"]).all()
    loss = model.evaluate(make(packed, LABELS), steps=2, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, history.history["val_loss"][0], rtol=1e-6)
    predictions = model.predict(make(packed), steps=1, verbose=0)["click"]
    np.testing.assert_allclose(predictions, expected, atol=1e-6)


def test_pydatasets_of_another_table_are_refused():
    # A model of its own: on JAX, Keras leaves one without state when data fail within an epoch.
    model = nested(make_table())
    model.compile("sgd")
    other = make_table({**COLUMNS, "city": ["Oslo", "Oslo", "Rome", "Bern"]}).encode(COLUMNS)
    with pytest.raises(ValueError, match="must be encoded by the model's own table"):
        model.fit(Batches(other, LABELS), verbose=0)


@pytest.mark.parametrize("make", [batches, Batches])
def test_graphs_of_keras_alone_take_batches_of_encoded_rows(make):
    table = make_table()
    model = keras.Model(table.inputs, keras.layers.Dense(1)(table.embed()))
    model.compile("sgd", "mse")
    packed, labels = table.encode(COLUMNS), LABELS["click"]
    assert model.fit(make(packed, labels), steps_per_epoch=2, verbose=0).history["loss"]
    loss = model.evaluate(make(packed, labels), steps=2, verbose=0)
    np.testing.assert_allclose(loss, model.evaluate(packed, labels, verbose=0), rtol=1e-6)
    predictions = model.predict(make(packed), steps=1, verbose=0)
    np.testing.assert_allclose(predictions, model(packed), atol=1e-6)


@tensorflow_only
def test_datasets_and_functions_of_tensorflow_take_encoded_rows(model):
    import tensorflow as tf

    packed = model.features.encode(COLUMNS)
    dataset = tf.data.Dataset.from_tensor_slices((packed, LABELS)).shuffle(4, seed=0).batch(4)
    assert model.evaluate(dataset, verbose=0, return_dict=True)["loss"] > 0
    doubled = tf.function(lambda x: tf.nest.map_structure(lambda t: 2 * t, x))(packed)
    np.testing.assert_array_equal(doubled["categorical"], 2 * packed["categorical"])
