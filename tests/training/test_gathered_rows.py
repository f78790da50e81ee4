"""Models that gather rows of one weight again and again train as with dense gradients."""

import copy
import functools
import pickle

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.features import Category, Sequence, TabularEmbedding, TabularFeatures

if keras.backend.backend() != "tensorflow":
    pytest.skip("gradients of gathers are dense", allow_module_level=True)

import tensorflow as tf

from keras_mtl.training import row_gradients

ROWS, BATCH_SIZE, RATE = 24, 8, 0.05


class DenseAdam(keras.optimizers.Adam):
    """Adam without a hook, which is given dense gradients."""

    def apply(self, grads, trainable_variables=None):
        super().apply([tf.convert_to_tensor(g) for g in grads], trainable_variables)


@functools.cache
def table():
    """Two columns, a sequence and its n-grams in one weight."""
    ngrams = {"ngrams": (2, 3), "ngram_buckets": 12, "max_ngrams": 4}
    columns = [Category("city"), Category("zip"), Sequence("seen", vocabulary="city", **ngrams)]
    return TabularFeatures(columns, embedding_dim=3, seed=0).adapt(raw())


def raw():
    generator = np.random.default_rng(0)
    words = ["Rome", "Oslo", "Bern"]
    return {
        "city": generator.choice(words, ROWS).astype(object),
        "zip": generator.integers(0, 4, ROWS),
        "seen": generator.choice(words, (ROWS, 4)).astype(object),
    }


def make_model():
    """A table, and a user's own embedding that is gathered twice."""
    first, second = keras.Input((2,), name="first"), keras.Input((), name="second")
    own = keras.layers.Embedding(4, 3, embeddings_initializer=initializer(), name="own")
    vectors = [table().embed(), keras.layers.Flatten()(own(first)), own(second)]
    hidden = keras.layers.Concatenate()(vectors)
    heads = {
        name: keras.layers.Dense(1, "sigmoid", kernel_initializer=initializer(seed), name=name)
        for seed, name in enumerate(["a", "b"])
    }
    outputs = {name: head(hidden) for name, head in heads.items()}
    inputs = [*table().inputs.values(), first, second]
    return MultiTaskModel(inputs=inputs, outputs=outputs, tasks=["a", "b"])


def initializer(seed=5):
    return keras.initializers.RandomUniform(-0.5, 0.5, seed=seed)


def data():
    generator = np.random.default_rng(1)
    ids = {"first": generator.integers(0, 3, (ROWS, 2)), "second": generator.integers(0, 3, ROWS)}
    labels = {name: generator.integers(0, 2, ROWS) for name in ("a", "b")}
    return {**table().encode(raw()), **ids}, labels


def batches():
    x, y = data()
    for start in range(0, ROWS, BATCH_SIZE):
        part = slice(start, start + BATCH_SIZE)
        yield tuple({name: value[part] for name, value in each.items()} for each in (x, y))


def fit(model):
    model.fit(*data(), batch_size=BATCH_SIZE, shuffle=False, verbose=0)


def train_on_batch(model):
    for x, y in batches():
        model.train_on_batch(x, y)


def loop(model, apply_gradients=False):
    """A loop of one's own."""
    for x, y in batches():
        with tf.GradientTape() as tape:
            outputs = model({name: tf.constant(value) for name, value in x.items()}, training=True)
            labels = {name: y[name][:, None] for name in y}
            loss = sum(
                tf.reduce_mean(keras.losses.binary_crossentropy(labels[name], outputs[name]))
                for name in labels
            )
        gradients = tape.gradient(loss, model.trainable_weights)
        if apply_gradients:
            model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        else:
            model.optimizer.apply(gradients, model.trainable_weights)


WAYS = {
    "fit": fit,
    "train_on_batch": train_on_batch,
    "apply": loop,
    "apply_gradients": functools.partial(loop, apply_gradients=True),
}


def trained(model, way):
    WAYS[way](model)
    return weights(model)


def weights(model):
    return [weight.numpy() for weight in model.trainable_weights]


def compiled(optimizer, **options):
    model = make_model()
    model.compile(optimizer, metrics=[], **options)
    return model


@functools.cache
def expected(way):
    model = compiled(DenseAdam(RATE))
    start = weights(model)
    after = trained(model, way)
    moved = [np.abs(now - then).max() for now, then in zip(after, start, strict=True)]
    assert min(moved) > RATE / 10
    return after


def assert_dense(model, way="fit"):
    for found, value in zip(trained(model, way), expected(way), strict=True):
        np.testing.assert_allclose(found, value, atol=1e-5)


@pytest.mark.parametrize("size", [0, 2**20], ids=["distinct", "dense"])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_train_sees_sums(way, size, monkeypatch):
    monkeypatch.setattr(row_gradients, "DENSE_SIZE", size)
    assert_dense(compiled(keras.optimizers.Adam(RATE)), way)


@pytest.mark.parametrize("size", [0, 2**20], ids=["distinct", "dense"])
def test_xla_sees_sums(size, monkeypatch):
    monkeypatch.setattr(row_gradients, "DENSE_SIZE", size)
    assert_dense(compiled(keras.optimizers.Adam(RATE), jit_compile=True))


@pytest.mark.parametrize("size", [0, 2**20], ids=["distinct", "dense"])
def test_two_replicas_see_sums_over_both(size, monkeypatch, mirrored):
    monkeypatch.setattr(row_gradients, "DENSE_SIZE", size)
    with mirrored.scope():
        model = compiled(keras.optimizers.Adam(RATE))
    assert_dense(model)


def from_file(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def compiled_twice(model, _):
    model.compile(model.optimizer, metrics=[])
    return model


@pytest.mark.parametrize(
    "again",
    [
        from_file,
        lambda model, _: pickle.loads(pickle.dumps(model)),
        lambda model, _: copy.deepcopy(model),
        compiled_twice,
    ],
    ids=["file", "pickle", "deepcopy", "compile"],
)
def test_what_a_model_becomes_sees_sums(again, tmp_path):
    model = compiled(keras.optimizers.Adam(RATE))
    model.optimizer.build(model.trainable_variables)
    model = again(model, tmp_path)
    assert type(model.optimizer) is keras.optimizers.Adam
    assert_dense(model)


def test_a_loss_scaled_up_gives_the_same():
    assert_dense(compiled(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(RATE))))


def test_a_step_reads_no_whole_table():
    """Where it is read, and single rows are updated, every step copies it."""
    model = make_model()
    x, _ = data()
    x = {name: tf.constant(value) for name, value in x.items()}
    (layer,) = (each for each in model.layers if isinstance(each, TabularEmbedding))
    (weight,) = layer.weights
    graph = tf.function(lambda x: model(x, training=True)).get_concrete_function(x).graph
    operations = graph.get_operations()
    read = [op.outputs[0].shape for op in operations if op.type == "ReadVariableOp"]
    assert read
    assert weight.shape not in [tuple(shape) for shape in read]
    assert sum(op.type == "ResourceGather" for op in operations) == 3
