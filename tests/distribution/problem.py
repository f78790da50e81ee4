"""One training problem with everything that replicas get wrong, run the same way everywhere."""

from typing import Any

import keras
import numpy as np

from keras_mtl import MultiTaskModel, Task, zoo

BATCH_SIZE = 16
TASKS = [
    Task("click", class_weight={0: 1.0, 1: 3.0}, weight=2.0),
    Task("buy", given="click", trained_on="all"),
    Task("price", "regression", units=2, loss="huber", given="buy"),
    Task("topic", "multiclass", units=3, loss="sparse_categorical_crossentropy"),
    Task("rare", weight_column="importance"),
]


def make_data(num_rows: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels missing unevenly: halves of batches, which are a replica's share, have none at all."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(num_rows, 5)).astype("float32")
    row = np.arange(num_rows)
    half = row % BATCH_SIZE < BATCH_SIZE // 2
    price = generator.normal(size=(num_rows, 2)).astype("float32")
    price[generator.random(price.shape) < 0.3] = np.nan
    labels = {
        "click": np.where(half | (row % 5 == 0), x[:, 0] > -0.5, -1),
        "buy": np.where(row % 7 == 0, -1, x[:, 1] > -0.5),
        "price": price,
        "topic": np.where(half, -1, generator.integers(0, 3, num_rows)),
        "rare": np.where(row == 3, 1, -1),
        "importance": 1.0 + row % 3,
    }
    return x, labels


def make_model() -> MultiTaskModel:
    """A compiled model; under a strategy, within its scope."""
    model = zoo.mmoe(
        5,
        TASKS,
        num_experts=2,
        expert_units=4,
        tower_units=3,
        kernel_regularizer=keras.regularizers.L2(0.01),
        seed=0,
    )
    model.compile(keras.optimizers.SGD(0.2), loss_weights={"buy": 0.5})
    return model


def run(model: MultiTaskModel) -> dict[str, np.ndarray]:
    """Every number of fit with validation, evaluate and predict, and the weights after it."""
    # The last batch has one row: a second replica gets none.
    x, y = make_data(2 * BATCH_SIZE + 1, seed=0)
    unseen, labels = make_data(BATCH_SIZE + 5, seed=1)
    history = model.fit(
        x,
        y,
        sample_weight={"click": np.linspace(0.0, 2.0, len(x)).astype("float32")},
        class_weight={"topic": {0: 1.0, 1: 2.0, 2: 0.5}},
        validation_data=(unseen, labels),
        batch_size=BATCH_SIZE,
        epochs=2,
        shuffle=False,
        verbose=0,
    ).history
    figures = model.evaluate(unseen, labels, batch_size=BATCH_SIZE, return_dict=True, verbose=0)
    outputs = model.predict(unseen, batch_size=BATCH_SIZE, verbose=0)
    weights = {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}
    parts: dict[str, dict[str, Any]] = {
        "history": history,
        "evaluate": figures,
        "predict": outputs,
        "weights": weights,
    }
    return {
        f"{part}:{name}": np.asarray(value, "float32")
        for part, values in parts.items()
        for name, value in values.items()
    }


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.isfinite(value).all(), name
        np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=1e-5, err_msg=name)
