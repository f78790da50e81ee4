"""What every layer guarantees: weights, shapes, dtypes, configuration, saving, training."""

import json

import keras
import numpy as np
import pytest

from tests.layers.cases import LAYERS

every_layer = pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS.keys())


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def paths(layer: keras.layers.Layer) -> list[str]:
    return [weight.path for weight in layer.weights]


@every_layer
def test_build_creates_every_weight_under_a_name_of_its_own(make, shape):
    layer = make(name="layer")
    layer.build((None, *shape))
    built = paths(layer)
    layer(draw(5, *shape), training=True)
    assert paths(layer) == built
    assert len(set(built)) == len(built)
    called = make(name="layer")
    called(draw(5, *shape))
    assert [w.shape for w in called.weights] == [w.shape for w in layer.weights]


@every_layer
@pytest.mark.parametrize("rows", [(5,), (2, 3), (2, 3, 2)])
def test_rows_tokens_and_pixels_are_treated_alike(make, shape, rows):
    layer, flat_layer = make(), make()
    inputs = draw(*rows, *shape)
    outputs = array(layer(inputs))
    flat_layer.build((None, *shape))
    flat_layer.set_weights(layer.get_weights())
    flat = array(flat_layer(inputs.reshape(-1, *shape)))
    np.testing.assert_allclose(outputs.reshape(flat.shape), flat, rtol=1e-5, atol=1e-6)
    assert outputs.shape == layer.compute_output_shape(inputs.shape)
    symbolic = layer(keras.KerasTensor((None, *rows[1:], *shape)))
    assert symbolic.shape == (None, *outputs.shape[1:])


@every_layer
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_symbolic_and_eager_dtypes_agree_and_are_the_policys(make, shape, policy):
    layer = make(dtype=policy)
    outputs = layer(draw(5, *shape))
    symbolic = layer(keras.KerasTensor((None, *shape)))
    dtype = keras.backend.standardize_dtype(outputs.dtype)
    assert dtype == symbolic.dtype
    gate = type(layer).__name__ == "Gate"
    assert dtype == ("float32" if gate else keras.DTypePolicy(policy).compute_dtype)
    floats = {w.dtype for w in layer.weights if "seed" not in w.path}
    assert floats == {"float32"}


@pytest.mark.parametrize("name", ["mmoe", "cgc", "ple"])
def test_gates_of_a_mixed_precision_layer_are_float32(name):
    layer = LAYERS[name][0](dtype="mixed_bfloat16")
    stages = getattr(layer, "stages", [layer])
    for stage in stages:
        assert stage.gate.compute_dtype == "float32"
        assert {dense.compute_dtype for dense in stage.gate.dense} == {"float32"}
        assert stage.experts.compute_dtype == "bfloat16"


@every_layer
def test_the_configuration_survives_json(make, shape):
    options = {
        "seed": 3,
        "kernel_initializer": keras.initializers.HeNormal(seed=2),
        "kernel_regularizer": keras.regularizers.L1(0.1),
    }
    layer = make(**options)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    loaded = keras.saving.deserialize_keras_object(config)
    assert json.dumps(loaded.get_config()) == json.dumps(layer.get_config())
    layer.build((None, *shape))
    loaded.build((None, *shape))
    for weight, again in zip(layer.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(array(weight.value), array(again.value))


@every_layer
def test_a_saved_model_loads_with_the_same_predictions(make, shape, tmp_path):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make()(inputs))
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    rows = draw(5, *shape)
    np.testing.assert_allclose(array(loaded(rows)), array(model(rows)), rtol=1e-6, atol=1e-7)
    copied = keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    np.testing.assert_allclose(array(copied(rows)), array(model(rows)), rtol=1e-6, atol=1e-7)


COMPILED = ["experts_slots", "experts_dropout", "gate_own", "mmoe", "cgc"]
FITS = [(*case, False) for case in LAYERS.values()] + [(*LAYERS[n], True) for n in COMPILED]


@pytest.mark.parametrize(
    ("make", "shape", "jit_compile"), FITS, ids=[*LAYERS, *(f"{n}_compiled" for n in COMPILED)]
)
def test_fit_moves_every_weight_that_it_may(make, shape, jit_compile):
    inputs = keras.Input(shape)
    layer = make(seed=1)
    model = keras.Model(inputs, keras.layers.Flatten()(layer(inputs)))
    model.compile("sgd", "mse", jit_compile=jit_compile)
    before = [array(weight.value).copy() for weight in layer.trainable_weights]
    rows = draw(8, *shape)
    model.fit(rows, draw(8, *model.output_shape[1:]), batch_size=4, epochs=2, verbose=0)
    for weight, value in zip(layer.trainable_weights, before, strict=True):
        now = array(weight.value)
        assert np.all(np.isfinite(now))
        assert not np.array_equal(now, value), f"{weight.path} did not move"


@pytest.mark.parametrize("name", ["task_dense", "experts_batch", "gate", "mmoe", "cgc", "ple"])
def test_the_mask_of_a_sequence_passes_through(name):
    make, shape = LAYERS[name]
    steps = keras.Input((3, *shape))
    model = keras.Model(steps, make()(keras.layers.Masking()(steps)))
    rows = draw(2, 3, *shape)
    rows[:, 2] = 0
    np.testing.assert_array_equal(array(model(rows)._keras_mask), [[True, True, False]] * 2)
