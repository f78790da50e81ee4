"""Character n-grams: NumPy, TensorFlow's graph and the layer against plain Python."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.features import Category, Sequence, TabularEmbedding, TabularFeatures
from keras_mtl.features.ngrams import NgramBuckets
from keras_mtl.features.tensor_hashing import ngram_ids
from tests.features import plain_encoding as plain

TRAIN = [["the", "Straße", "東京", "the"], [], ["a", "?"], ["x" * 300, "naïve"]]
ROWS = [
    ["Straße", "", "東京の", "😀!", "the"],  # one missing, and one more than fit
    [],
    ["the", "?", "y" * 300, "e\u0301"],  # "?" means missing; a letter and a combining accent
    ["", "a"],
]
NGRAMS = (1, 3)
BUCKETS = 60
LIMIT = 7


def make_table(rows=TRAIN, **arguments):
    options = {"ngrams": NGRAMS, "ngram_buckets": BUCKETS, "max_ngrams": LIMIT, **arguments}
    column = Sequence("words", missing="?", max_length=3, **options)
    return TabularFeatures([column], embedding_dim=4, seed=3).adapt({"words": rows})


def kept(row, keep):
    words = [word for word in row if word not in ("", "?")]
    return words[:3] if keep == "first" else words[-3:]


def expected_ids(table, rows, keep="last"):
    """Packed ids (B, S, 1 + G)."""
    packed = np.zeros((len(rows), 3, 1 + LIMIT), int)
    for index, row in enumerate(rows):
        for place, word in enumerate(kept(row, keep)):
            packed[index, place, 0] = plain.identify(word, list(table.vocabulary("words")))
            packed[index, place, 1:] = plain.ngram_ids(word, *NGRAMS, BUCKETS, LIMIT)
    return packed


def test_plain_ngrams_are_those_of_the_paper():
    """Section 3.2: `where` with n = 3; its sixth n-gram is the word itself, an id of its own."""
    assert plain.cut_up("where", 3, 3, 99) == ["<wh", "whe", "her", "ere", "re>"]
    assert plain.cut_up("where", 3, 3, 3) == ["<wh", "whe", "re>"]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        [[word.encode() for word in row] for row in ROWS],
        [np.array(row, object) for row in ROWS],
        np.array([row + [""] * (5 - len(row)) for row in ROWS]),
    ],
    ids=["lists", "bytes", "arrays", "padded"],
)
def test_encode(rows):
    table = make_table()
    packed = table.encode({"words": rows})["words"]
    assert packed.dtype == np.int32
    np.testing.assert_array_equal(packed, expected_ids(table, ROWS))
    assert (packed[0, :, 0] == [1, 1, 2]).all()  # unknown, unknown, known


def test_the_first_words_have_their_ngrams():
    table = make_table(keep="first")
    packed = table.encode({"words": ROWS})["words"]
    np.testing.assert_array_equal(packed, expected_ids(table, ROWS, "first"))


@pytest.mark.parametrize("keep", ["last", "first"])
@pytest.mark.parametrize("rows", [ROWS, ROWS[1:2], [], [["", ""]]], ids=len)
def test_tensors_equal_encode(rows, keep):
    table = make_table(keep=keep)
    ragged = tf.ragged.constant(rows, ragged_rank=1, dtype=tf.string)
    graph = tf.function(table.encode_tensors, input_signature=[table.serving_signature()])
    expected = table.encode({"words": rows})["words"]
    for packed in (table.encode_tensors({"words": ragged}), graph({"words": ragged.to_tensor()})):
        assert packed["words"].dtype == tf.int32
        np.testing.assert_array_equal(packed["words"], expected)
    assert graph.get_concrete_function().outputs[0].shape[1:] == (3, 1 + LIMIT)


@pytest.mark.parametrize("limit", [1, 6, 40])
def test_bytes_that_are_no_text(limit):
    rng = np.random.default_rng(limit)
    words = [bytes(rng.integers(0, 256, size).tolist()) for size in rng.integers(0, 12, 500)]
    source = NgramBuckets(2, 4, 10_000)
    ids = source.ids(words, limit)
    assert len(np.unique(ids)) > 200
    np.testing.assert_array_equal(ngram_ids(source, tf.constant(words), limit), ids)


def test_ids_do_not_depend_on_the_words_beside():
    source = NgramBuckets(2, 4, 1000)
    words = ["the", "Straße", "the", "東京" * 50]
    together = source.ids(words, 9)
    for word, ids in zip(words, together, strict=True):
        np.testing.assert_array_equal(source.ids([word], 9)[0], ids)


def expected_vectors(layer, packed):
    """e_s + mean of z_g, from the layer's one weight: words' rows, then n-grams'."""
    weight = np.asarray(layer.weights[0])
    words, ngrams = weight[:-BUCKETS], weight[-BUCKETS - 1 :]
    vectors = words[packed[..., 0]]
    for index in np.ndindex(*packed.shape[:2]):
        found = [ngrams[i] for i in packed[(*index, slice(1, None))] if i]
        vectors[index] += np.mean(found, axis=0) if found else 0
    return vectors


def test_layer_against_numpy():
    table = make_table(pooling=None)
    packed = table.encode({"words": ROWS})
    layer = TabularEmbedding(table, concatenate=False)
    vectors = layer(packed)["words"]
    present = packed["words"][..., 0] > 0
    assert layer(table.inputs)["words"].shape == (None, 3, 4)
    np.testing.assert_array_equal(vectors._keras_mask, present)
    np.testing.assert_allclose(vectors, expected_vectors(layer, packed["words"]), atol=1e-6)
    lengths = np.linalg.norm(vectors, axis=-1)
    assert (lengths[present] > 0).all(), "an unknown word has the vector of its n-grams"
    assert (lengths[~present] == 0).all()


def test_pooled_layer_against_numpy():
    table = make_table()
    packed = table.encode({"words": ROWS})
    layer = TabularEmbedding(table)
    mean = layer(packed)
    present = (packed["words"][..., 0] > 0)[..., None]
    total = (expected_vectors(layer, packed["words"]) * present).sum(1)
    np.testing.assert_allclose(mean, total / np.maximum(present.sum(1), 1), atol=1e-6)
    np.testing.assert_array_equal(mean[1], 0)
    assert np.linalg.norm(mean, axis=-1)[[0, 2, 3]].all()


def test_training_moves_the_rows_of_the_ngrams_that_occur():
    table = make_table()
    packed = table.encode({"words": ROWS})
    layer = TabularEmbedding(table)
    model = keras.Model(table.inputs, keras.layers.Dense(1)(layer(table.inputs)))
    before = np.asarray(layer.weights[0])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(packed, np.ones(4), epochs=1, verbose=0)
    moved = np.abs(np.asarray(layer.weights[0]) - before).max(1) > 0
    seen = set(packed["words"][..., 1:].ravel().tolist()) - {0}
    assert set((1 + np.flatnonzero(moved[-BUCKETS:])).tolist()) == seen


def test_who_shares_ngrams():
    def rows(**options):
        columns = [
            Category("title", vocabulary="word"),
            Sequence("query", vocabulary="word", ngrams=NGRAMS, ngram_buckets=BUCKETS),
            Sequence("words", vocabulary="word", **options),
        ]
        data = {"title": ["the", "a"], "query": [["a"], []], "words": [["b"], []]}
        layer = TabularEmbedding(TabularFeatures(columns).adapt(data))
        layer.build({})
        (weight,) = layer.weights
        return weight.shape[0] - 5  # missing, unknown, the, a, b

    shared = {"ngrams": NGRAMS, "ngram_buckets": BUCKETS, "max_ngrams": 3}
    assert rows() == rows(**shared) == 1 + BUCKETS
    assert rows(**shared | {"ngram_buckets": 5}) == 1 + BUCKETS + 1 + 5
    assert rows(**shared | {"ngrams": (2, 3)}) == 2 * (1 + BUCKETS)


def test_words_keep_their_initial_vectors_beside_ngrams():
    def words(**options):
        table = TabularFeatures([Sequence("words", **options)], seed=3).adapt({"words": TRAIN})
        layer = TabularEmbedding(table)
        layer.build({})
        return np.asarray(layer.weights[0])[: table.encoding.sources["words"].size]

    np.testing.assert_array_equal(words(), words(ngrams=NGRAMS, ngram_buckets=BUCKETS))


def test_config_round_trip_and_configs_of_before():
    table = make_table(hash_buckets=9)
    config = json.loads(json.dumps(table.get_config()))
    copy = TabularFeatures.from_config(config)
    assert copy.columns == table.columns
    packed = copy.encode({"words": ROWS})["words"]
    np.testing.assert_array_equal(packed, table.encode({"words": ROWS})["words"])
    for name in ("ngrams", "ngram_buckets", "max_ngrams"):
        del config["columns"][0]["config"][name]
    before = TabularFeatures.from_config(config)
    assert before.columns[0].ngrams is None
    np.testing.assert_array_equal(before.encode({"words": ROWS})["words"], packed[..., 0])


@pytest.mark.parametrize(
    "ngrams", [3, "23", (2,), (0, 2), (3, 2), (2, 3.0), (True, 2), (2, 3, 4)], ids=repr
)
def test_bad_lengths(ngrams):
    with pytest.raises(ValueError, match=r"`ngrams` must be two integers.* Received: ngrams="):
        Sequence("words", ngrams=ngrams)


@pytest.mark.parametrize("name", ["ngram_buckets", "max_ngrams"])
def test_bad_sizes(name):
    with pytest.raises(ValueError, match=f"`{name}` must be an integer of at least 1"):
        Sequence("words", ngrams=(2, 4), **{name: 0})


def test_integers_have_no_ngrams():
    table = TabularFeatures([Sequence("clicks", ngrams=(2, 4))])
    with pytest.raises(TypeError, match=r"Column `clicks` must hold strings: it has `ngrams`"):
        table.adapt({"clicks": [[1, 2], [3]]})
    assert not table.adapted
