"""1 replica = 2 replicas, in weights and in every figure; and what a replicated model becomes."""

import contextlib
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import zoo
from tests.distribution.problem import BATCH_SIZE, assert_same, make_data, make_model, run


@pytest.fixture(scope="module")
def on_one():
    return run(make_model())


@pytest.fixture(scope="module")
def on_two(mirrored):
    with mirrored.scope():
        model = make_model()
    return model, run(model)


def test_two_replicas_give_the_numbers_of_one(on_one, on_two):
    _, found = on_two
    assert_same(found, on_one)


def test_the_problem_tells_wrong_means_from_right_ones(on_one):
    """Every loss moves, every task is seen, validation differs from training, the stop restores."""
    for task in ("click", "buy", "price", "topic", "rare"):
        first, second = on_one[f"history:{task}_loss"]
        assert first > 0
        assert first != second
        assert on_one[f"history:val_{task}_loss"][1] != second
    factors = {"click": 2.0, "buy": 0.5, "price": 1.0, "topic": 1.0, "rare": 1.0}
    tasks = sum(factor * on_one[f"history:{task}_loss"] for task, factor in factors.items())
    penalty = on_one["history:loss"] - tasks
    assert (penalty > 0.01).all()
    best = {name.partition(":")[2]: value for name, value in on_one.items()}
    # The class weights of `topic` end with `fit`.
    assert on_one["evaluate:topic_loss"] != pytest.approx(best["val_topic_loss"][0], rel=1e-3)
    for name in ("click_loss", "price_loss", "click_auc", "topic_accuracy"):
        assert on_one[f"evaluate:{name}"] == pytest.approx(best[f"val_{name}"][0], rel=1e-5)
    assert on_one["evaluate:click_loss"] != pytest.approx(best["val_click_loss"][1], rel=1e-3)


def test_datasets_are_evaluated_as_arrays_are(on_two, on_one):
    """Columns that no task reads stay in a dataset's labels; its last batch is partial."""
    model, _ = on_two
    unseen, labels = make_data(BATCH_SIZE + 5, seed=1)
    dataset = tf.data.Dataset.from_tensor_slices((unseen, {**labels, "other": unseen}))
    figures = model.evaluate(dataset.batch(BATCH_SIZE), return_dict=True, verbose=0)
    expected = {name: v for name, v in on_one.items() if name.startswith("evaluate:")}
    assert_same({f"evaluate:{name}": value for name, value in figures.items()}, expected)


@pytest.mark.parametrize(
    "make_strategy",
    [lambda: tf.distribute.OneDeviceStrategy("CPU:0"), tf.distribute.MultiWorkerMirroredStrategy],
    ids=["one_device", "one_worker"],
)
def test_strategies_of_one_replica_give_the_same(make_strategy, on_one, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with make_strategy().scope():
        model = make_model()
    assert_same(run(model), on_one)


def test_a_replicated_model_exports_each_variable_once(on_two, on_one, tmp_path):
    model, found = on_two
    model.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    unseen, _ = make_data(21, seed=1)
    outputs = served(features=tf.constant(unseen))
    for task in model.output:
        np.testing.assert_allclose(outputs[task], found[f"predict:{task}"], atol=1e-6)
    stored = tf.train.list_variables(str(tmp_path / "1" / "variables" / "variables"))
    sizes = sorted(math.prod(shape) for name, shape in stored if not name.startswith("_"))
    assert sizes == sorted(math.prod(weight.shape) for weight in model.weights)


def test_a_replicated_model_is_saved_and_loaded_without_replicas(on_two, tmp_path):
    model, found = on_two
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    unseen, _ = make_data(21, seed=1)
    outputs = loaded(unseen)
    for task in model.output:
        np.testing.assert_allclose(outputs[task], found[f"predict:{task}"], atol=1e-6)
    assert loaded.steps_per_execution == 16


def test_batch_normalization_sees_the_global_batch(mirrored):
    """Statistics of both replicas' rows, which come from two different distributions."""
    x, y = make_data(16, seed=0)
    x[8:] += 5.0
    results = []
    for scope in (contextlib.nullcontext(), mirrored.scope()):
        with scope:
            model = zoo.shared_bottom(5, ["click"], normalization="batch", tower_units=3, seed=0)
            model.compile(keras.optimizers.SGD(0.2), metrics=[])
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
        results.append(
            {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}
        )
    assert_same(results[1], results[0])
