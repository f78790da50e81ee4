"""One training problem with everything that replicas get wrong, run the same way everywhere."""

from typing import Any

import keras
import numpy as np

from keras_mtl import MultiTaskModel, Task, zoo
from tests.zoo.small import TRUNKS

BATCH_SIZE = 16
# Every replica is a group with losses and slots of its own, so here nothing depends on groups.
SPARSE: dict[str, dict[str, Any]] = {
    "moe": {
        "num_experts": 4,
        "expert_units": (6,),
        "noisy": False,
        "importance_loss": 0.0,
        "load_loss": 0.0,
    },
    "switch_transformer": {
        "model_units": 8,
        "hidden_units": 6,
        "num_heads": 2,
        "num_layers": 2,
        "num_experts": 3,
        "pooling": "mean",
        "capacity_factor": None,
        "jitter": 0.0,
        "balance_loss": 0.0,
    },
}
STOPPING = {"patience": 1, "restore_best_weights": True}
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
    click = np.where(half | (row % 5 == 0), x[:, 0] > -0.5, -1)
    labels = {
        "click": click,
        "buy": np.where(row % 7 == 0, -1, (x[:, 1] > -0.5) & (click != 0)),
        "price": price,
        "topic": np.where(half, -1, generator.integers(0, 3, num_rows)),
        "rare": np.where(row == 3, 1, np.where(row == 4, 0, -1)),
        "importance": 1.0 + row % 3,
    }
    return x, labels


def make_model(name: str = "mmoe") -> MultiTaskModel:
    """The small model of a constructor, compiled; under a strategy, within its scope."""
    arguments = {"tower_units": 3, "kernel_regularizer": keras.regularizers.L2(0.01), "seed": 0}
    arguments |= TRUNKS.get(name, {}) | SPARSE.get(name, {})
    reads_sequences = name == "switch_transformer"
    inputs = keras.Input((5, 1), name="features") if reads_sequences else 5
    model = zoo.create(name, inputs, TASKS, **arguments)
    rate = 0.02 if reads_sequences else 0.2  # a transformer diverges at the greater one
    model.compile(keras.optimizers.SGD(rate), loss_weights={"buy": 0.5})
    return model


def run(model: MultiTaskModel, *, datasets: bool = False) -> dict[str, np.ndarray]:
    """Every number of fit with validation, evaluate and predict, and the weights after it.

    Losses fall, so a stop by their maximum comes after the second epoch and restores the first.

    Args:
        model: what `make_model` made.
        datasets: whether data come as `tf.data.Dataset`s instead of arrays.
    """
    # The last batch has one row: all replicas but one get none.
    x, y = _data_for(model, 2 * BATCH_SIZE + 1, seed=0)
    weight = {"click": np.linspace(0.0, 2.0, len(x)).astype("float32")}
    unseen = _data_for(model, BATCH_SIZE + 5, seed=1)
    history = model.fit(
        **_given(datasets, x=x, y=y, sample_weight=weight),
        validation_data=_batches(unseen) if datasets else unseen,
        class_weight={"topic": {0: 1.0, 1: 2.0, 2: 0.5}},
        callbacks=[keras.callbacks.EarlyStopping("val_click_loss", mode="max", **STOPPING)],
        epochs=4,
        shuffle=False,
        verbose=0,
    ).history
    evaluated = _given(datasets, x=unseen[0], y=unseen[1])
    figures = model.evaluate(**evaluated, return_dict=True, verbose=0)
    outputs = model.predict(**_given(datasets, x=unseen[0]), verbose=0)
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
        if not (name.startswith(("moe/", "val_moe/")) and name.endswith("_loss"))  # a group's
    }


def _data_for(model: MultiTaskModel, num_rows: int, seed: int) -> tuple[np.ndarray, Any]:
    """The data, in the shape of the model's input."""
    x, y = make_data(num_rows, seed)
    return x.reshape(-1, *model.input_shape[1:]), y


def _given(datasets: bool, **arrays: Any) -> dict[str, Any]:
    """Data as arguments of `fit`, `evaluate` or `predict`."""
    if datasets:
        return {"x": _batches(tuple(arrays.values()))}
    return {**arrays, "batch_size": BATCH_SIZE}


def _batches(arrays: tuple[Any, ...]) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH_SIZE)


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.isfinite(value).all(), name
        np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=1e-5, err_msg=name)
