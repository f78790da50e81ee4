"""What inputs may hold: ids of an embedding, sequences of a table of positions."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.features.input_limits import id_limits, longest_sequence
from keras_mtl.layers.position_embedding import PositionEmbedding

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's assertions"
)


def build(shape=(None,), dtype="int32", words=256) -> MultiTaskModel:
    ids = keras.Input(shape, dtype=dtype, name="ids")
    x = PositionEmbedding(4)(keras.layers.Embedding(words, 2)(ids))
    x = keras.layers.GlobalAveragePooling1D()(x)
    heads = {"click": keras.layers.Dense(1, activation="sigmoid")(x)}
    return MultiTaskModel(inputs=ids, outputs=heads, tasks=["click"])


def test_limits_are_those_of_what_reads_the_input():
    ids, others = (keras.Input((None,), dtype="int32") for _ in range(2))
    shared = keras.layers.Embedding(9, 2)
    PositionEmbedding(7)(shared(ids))
    shared(others)
    vectors = keras.Input((None, 3))
    PositionEmbedding(5)(vectors)
    PositionEmbedding(6)(vectors)
    sizes = [limits and limits.sizes.tolist() for limits in map(id_limits, (ids, others, vectors))]
    assert sizes == [[9], [9], None]
    assert [longest_sequence(x) for x in (ids, others, vectors)] == [7, None, 5]


@pytest.mark.parametrize(("dtype", "words"), [("uint8", 256), ("int16", 70_000), ("float32", 300)])
def test_ids_of_any_type_are_compared_with_the_whole_vocabulary(dtype, words):
    ids = np.array([[0, 255], [7, 1]]).astype(dtype)
    predictions = build(dtype=dtype, words=words).predict(ids, verbose=0)["click"]
    assert np.all(np.isfinite(predictions))


@tensorflow_only
def test_a_missing_axis_is_added_before_lengths_are_compared():
    model = build((1,))
    found = model.predict(np.arange(4), verbose=0)["click"]
    np.testing.assert_allclose(found, model(np.arange(4)[:, None])["click"], rtol=1e-6)


@tensorflow_only
@pytest.mark.parametrize("as_tensor", [False, True])
def test_calls_refuse_what_is_out_of_bounds(as_tensor):
    import tensorflow as tf

    given = tf.constant if as_tensor else np.asarray
    model = build()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must hold ids in \[0, 256\)"):
        model(given([[1, -1]]))
