"""A graph of Keras' own layers keeps its AUC when quantized; others are refused by name."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, features, zoo

NEAR = 0.002
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(1000, 8)).astype("float32")
LABELS = {"click": (ROWS[:, 0] + GENERATOR.normal(size=1000) > 0).astype("float32")}


def graph() -> MultiTaskModel:
    """Keras' own layers, some of which have nothing to quantize."""
    inputs = keras.Input((8,), name="rows")
    hidden = keras.layers.Dense(16, "relu")(inputs)
    hidden = keras.layers.Dropout(0.1)(hidden)
    head = keras.layers.Dense(1, "sigmoid")(hidden)
    return MultiTaskModel(inputs=inputs, outputs={"click": head}, tasks=["click"])


@pytest.fixture(scope="module")
def trained() -> MultiTaskModel:
    model = graph()
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(ROWS, LABELS, epochs=3, verbose=0)
    return model


def auc(model: MultiTaskModel) -> float:
    return model.evaluate(ROWS, LABELS, batch_size=500, return_dict=True, verbose=0)["click_auc"]


@pytest.mark.parametrize(
    ("mode", "compiled"),
    [
        ("int8", "before"),
        ("float8", "after"),
        pytest.param("int8", "after", marks=pytest.mark.slow),
        pytest.param("int8", "both", marks=pytest.mark.slow),
        pytest.param("float8", "before", marks=pytest.mark.slow),
        pytest.param("float8", "both", marks=pytest.mark.slow),
    ],
)
def test_auc_stays_within_two_thousandths(
    trained: MultiTaskModel, mode: str, compiled: str
) -> None:
    model = graph()
    model.set_weights(trained.get_weights())
    if compiled != "after":
        model.compile("adam")
        model.evaluate(ROWS, LABELS, verbose=0)
    model.quantize(mode)
    if compiled != "before":
        model.compile("adam")
    expected = model.predict(ROWS, verbose=0)["click"]
    assert abs(auc(model) - auc(trained)) < NEAR
    # The loss reads the quantized head as well.
    losses = keras.ops.binary_crossentropy(LABELS["click"][:, None], expected)
    found = model.evaluate(ROWS, LABELS, return_dict=True, verbose=0)["click_loss"]
    np.testing.assert_allclose(found, np.mean(losses), atol=1e-3)


def test_int8_weights_are_bytes(trained: MultiTaskModel) -> None:
    model = graph()
    model.set_weights(trained.get_weights())
    model.quantize("int8")
    assert [weight.dtype for weight in model.weights].count("int8") == 2


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # it trains no bytes
@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_a_quantized_model_is_loaded_and_evaluated(
    trained: MultiTaskModel, mode: str, tmp_path: Path
) -> None:
    model = graph()
    model.set_weights(trained.get_weights())
    model.quantize(mode)
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert abs(auc(loaded) - auc(trained)) < NEAR
    np.testing.assert_allclose(
        loaded.predict(ROWS, verbose=0)["click"], model.predict(ROWS, verbose=0)["click"], atol=1e-6
    )


@pytest.mark.parametrize("mode", ["int8", "float8"])
@pytest.mark.parametrize("name", [name for name in zoo.list_models() if "transformer" not in name])
def test_models_of_the_zoo_are_refused_by_the_names_of_their_layers(name: str, mode: str) -> None:
    model = zoo.create(name, 8, ["click", "like"])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"layers without such a form: .*TaskDense"):
        model.quantize(mode)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_table_is_refused() -> None:
    table = features.TabularFeatures(categorical=["c"]).adapt({"c": np.array(["a", "b"])})
    head = keras.layers.Dense(1, "sigmoid")(table.embed())
    model = MultiTaskModel(inputs=table.inputs, outputs={"click": head}, tasks=["click"])
    with pytest.raises(ValueError, match="layers without such a form: TabularEmbedding"):
        model.quantize("int8")


def test_fit_with_class_weights_runs_what_was_quantized() -> None:
    model = graph()
    model.compile(keras.optimizers.SGD(0.0))
    weights = {"click": {1: 2.0}}
    model.fit(ROWS, LABELS, class_weight=weights, verbose=0)
    kept = [step for steps in model._class_weights._steps.values() for step in steps if step]
    assert kept
    model.quantize("int8")
    model.fit(ROWS[:32], {"click": LABELS["click"][:32]}, class_weight=weights, verbose=0)
    now = [step for steps in model._class_weights._steps.values() for step in steps if step]
    assert not {*map(id, kept)} & {*map(id, now)}
