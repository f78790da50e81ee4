"""Parts of the transformer: attention drawn by a seed, places of a sequence, means over tokens."""

import keras
import numpy as np
import pytest

from keras_mtl.layers.masked_mean import MaskedMean
from keras_mtl.layers.position_embedding import PositionEmbedding
from keras_mtl.layers.seeded_attention import SeededAttention

PROJECTIONS = ("query", "key", "value", "attention_output")


def attention(seed=1, depth=24, heads=3, width=16, **arguments):
    layer = SeededAttention(heads, width, seed=seed, **arguments)
    layer.build((None, None, depth), (None, None, depth))
    return layer


def kernels(layer):
    found = {path.split("/")[-2]: value for path, value in weights(layer).items()}
    return {name: found[name] for name in PROJECTIONS}


def weights(layer):
    return {
        weight.path: keras.ops.convert_to_numpy(weight.value)
        for weight in layer.weights
        if weight.path.endswith(("kernel", "embeddings"))
    }


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def called_in_a_model(layer, x, tmp_path):
    """The layer within a model that is saved and reloaded; what both compute."""
    inputs = keras.Input(x.shape[1:])
    outputs = layer(inputs, inputs) if isinstance(layer, SeededAttention) else layer(inputs)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    return loaded.layers[-1], np.asarray(model(x)), np.asarray(loaded(x))


# --- attention ---


def test_query_key_and_value_start_apart():
    drawn = kernels(attention())
    flat = {name: kernel.ravel() for name, kernel in drawn.items()}
    for name, other in (("query", "key"), ("query", "value"), ("key", "value")):
        assert abs(np.corrcoef(flat[name], flat[other])[0, 1]) < 0.1
    # nor do heads
    query = drawn["query"]
    assert abs(np.corrcoef(query[:, 0].ravel(), query[:, 1].ravel())[0, 1]) < 0.2


@pytest.mark.parametrize(("depth", "heads", "width"), [(24, 3, 16), (40, 2, 10)])
def test_kernels_have_the_variance_of_one_matrix(depth, heads, width):
    for name, kernel in kernels(attention(None, depth, heads, width)).items():
        bound = np.sqrt(6 / (depth + heads * width))
        assert np.abs(kernel).max() <= bound, name
        assert np.var(kernel) == pytest.approx(bound**2 / 3, rel=0.15), name


def test_value_of_a_width_of_its_own():
    drawn = kernels(attention(value_dim=8, output_shape=5))
    assert drawn["value"].shape == (24, 3, 8)
    assert drawn["attention_output"].shape == (3, 8, 5)
    for name, fans in (("value", 24 + 24), ("attention_output", 24 + 5)):
        assert np.var(drawn[name]) == pytest.approx(2 / fans, rel=0.2), name


def test_the_seed_decides_the_draws():
    first, again, other, none = (kernels(attention(seed)) for seed in (1, 1, 2, None))
    for name in PROJECTIONS:
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.allclose(first[name], other[name])
        assert not np.allclose(first[name], none[name])
    x = draw(2, 4, 24)
    once, twice = (np.asarray(attention(1, dropout=0.5)(x, x, training=True)) for _ in range(2))
    np.testing.assert_array_equal(once, twice)


def test_without_a_seed_two_layers_differ():
    first, second = (kernels(attention(None))["query"] for _ in range(2))
    assert not np.allclose(first, second)


def test_it_is_keras_own_attention_on_the_same_weights(tmp_path):
    layer, x = attention(), draw(2, 5, 24)
    own = keras.layers.MultiHeadAttention(3, 16)
    own.build(x.shape, x.shape)
    values = {weight.path.partition("/")[2]: weight for weight in layer.weights}
    for weight in own.weights:  # Keras' bias of keys changes nothing, whatever it is
        weight.assign(values.get(weight.path.partition("/")[2], draw(*weight.shape)))
    mask = np.arange(5) < np.array([[5], [2]])
    for arguments in ({}, {"query_mask": mask, "value_mask": mask}):
        np.testing.assert_allclose(layer(x, x, **arguments), own(x, x, **arguments), atol=1e-6)


def test_a_reloaded_attention_has_what_training_made_of_it(tmp_path):
    layer = attention()
    layer.query_dense.kernel.assign(layer.query_dense.kernel + 1)
    loaded, expected, found = called_in_a_model(layer, draw(2, 5, 24), tmp_path)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert type(loaded) is SeededAttention
    assert loaded.seed == 1
    assert attention().from_config(layer.get_config()).seed == 1


# --- places ---


def test_every_place_has_a_vector_of_its_own():
    layer, x = PositionEmbedding(6, seed=1), draw(2, 4, 3)
    table = np.asarray(layer(x)) - x
    embeddings = keras.ops.convert_to_numpy(layer.embeddings)
    assert embeddings.shape == (6, 3)
    for row in table:
        np.testing.assert_allclose(row, embeddings[:4], atol=1e-6)
    assert len(np.unique(embeddings.round(6), axis=0)) == 6


def test_the_seed_decides_the_vectors_of_places():
    made = [PositionEmbedding(50, seed=seed) for seed in (1, 1, 2)]
    for layer in made:
        layer.build((None, None, 8))
    first, again, other = (keras.ops.convert_to_numpy(layer.embeddings) for layer in made)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.std(first) == pytest.approx(0.02, rel=0.2)


def test_the_mask_passes_the_places():
    inputs = keras.Input((None, 3))
    masked = keras.layers.Masking()(inputs)
    mean = MaskedMean()(PositionEmbedding(9)(masked))
    x = draw(2, 4, 3)
    x[1, 2:] = 0
    longer = np.pad(x, [(0, 0), (0, 3), (0, 0)])
    model = keras.Model(inputs, mean)
    np.testing.assert_allclose(model(longer), model(x), atol=1e-6)


def test_a_sequence_longer_than_the_table_is_refused():
    sentence = "at most `max_length` entries. Received: 5 entries, max_length=4"
    layer = PositionEmbedding(4)
    with pytest.raises(ValueError, match=sentence):
        layer(keras.Input((5, 3)))
    with pytest.raises(ValueError, match=sentence):
        layer(draw(1, 5, 3))
    with pytest.raises(ValueError, match=sentence):
        layer.compute_output_shape((None, 5, 3))
    assert layer.compute_output_shape((None, None, 3)) == (None, None, 3)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None])
def test_a_table_needs_a_length(value):
    with pytest.raises(ValueError, match=r"`max_length` must be an integer.*: max_length="):
        PositionEmbedding(value)


def test_reloaded_places_have_what_training_made_of_them(tmp_path):
    layer = PositionEmbedding(6, seed=3)
    layer.build((None, None, 3))
    layer.embeddings.assign(draw(6, 3))
    loaded, expected, found = called_in_a_model(layer, draw(2, 4, 3), tmp_path)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert (loaded.max_length, loaded.seed) == (6, 3)


# --- means ---


def test_a_mean_counts_what_the_mask_shows():
    x = draw(3, 4, 2)
    mask = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]], bool)
    found = np.asarray(MaskedMean()(x, mask=mask))
    np.testing.assert_allclose(found[0], x[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(found[1], x[1, [0, 2]].mean(0), atol=1e-6)
    np.testing.assert_array_equal(found[2], [0, 0])
    np.testing.assert_allclose(MaskedMean()(x), x.mean(1), atol=1e-6)


def test_what_the_mask_hides_is_not_even_multiplied():
    """NaN times zero would be NaN."""
    x = draw(1, 3, 2)
    expected = x[:, :1].mean(1)
    x[:, 1:] = np.nan
    mask = np.array([[True, False, False]])
    np.testing.assert_allclose(MaskedMean()(x, mask=mask), expected, atol=1e-6)


def test_a_mean_in_half_precision_counts_long_sequences():
    x = np.ones((1, 300, 2), "float32")
    layer = MaskedMean(dtype="mixed_bfloat16")
    found = layer(x, mask=np.arange(300)[None] < 299)
    assert found.dtype == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(found, "float32"), [[1, 1]], rtol=1e-2)


def test_no_mask_goes_beyond_a_mean():
    inputs = keras.Input((None, 3))
    mean = MaskedMean()(keras.layers.Masking()(inputs))
    assert getattr(mean, "_keras_mask", None) is None
    assert keras.layers.Dense(2)(mean).shape == (None, 2)
