"""Two replicas of sparse layers are one replica with two groups: losses, weights and logs."""

import contextlib
from typing import Any

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task
from keras_mtl.layers import MoE, SwitchFFN, routing

BATCH_SIZE = 16


def sparse_model(num_groups: int, mixture: dict, switch: dict) -> MultiTaskModel:
    """Both layers, one after the other, without noise; losses weigh enough to be seen."""
    features = keras.Input((6,), name="features")
    shared = {"num_groups": num_groups, "seed": 1}
    x = MoE(
        5, 6, noisy=False, importance_loss=0.3, load_loss=0.1, name="mixture", **shared, **mixture
    )(features)
    x = x + SwitchFFN(
        4, 8, jitter=0.0, balance_loss=0.5, router_z_loss=0.1, name="switch", **shared, **switch
    )(x)
    heads = {
        name: keras.layers.Dense(
            1,
            activation=activation,
            kernel_initializer=keras.initializers.GlorotUniform(3),
            name=name,
        )(x)
        for name, activation in (("click", "sigmoid"), ("price", None))
    }
    tasks = [Task("click"), Task("price", "regression")]
    model = MultiTaskModel(inputs=features, outputs=heads, tasks=tasks)
    model.compile(keras.optimizers.SGD(0.3))
    return model


def data(num_rows: int, seed: int, alike: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(num_rows, 6)).astype("float32")
    if alike:
        x = 0.4 + 0.05 * x
    price = np.where(np.arange(num_rows) % BATCH_SIZE < 6, x[:, 1] + x[:, 2], np.nan)
    return x, {"click": (x[:, 0] > 0).astype("int32"), "price": price.astype("float32")}


def trained(
    scope: Any,
    num_groups: int,
    rows: tuple[int, int],
    alike: bool = False,
    batch_size: int = BATCH_SIZE,
    **options,
) -> dict[str, np.ndarray]:
    """Every log of fit with validation, and every weight after it."""
    with scope:
        model = sparse_model(num_groups, **options)
    x, y = data(rows[0], 0, alike)
    fit = {"validation_data": data(rows[1], 1, alike), "batch_size": batch_size, "epochs": 3}
    history = model.fit(x, y, **fit, shuffle=False, verbose=0).history
    weights = {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}
    return {**history, **weights}


OPTIONS = {
    "dropless": {"mixture": {}, "switch": {}},
    "overflow": {
        "mixture": {"capacity_factor": 0.8},
        "switch": {"capacity_factor": 0.7, "eval_capacity_factor": 0.9, "min_capacity": 1},
    },
}
# Rows of training and validation. The last batches have 10 and 6 rows; 5 and 3, so that shares
# differ by one; and 1, of which one replica gets none.
ROWS = {"even": (42, 22), "odd": (37, 19), "one": (33, 17)}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("overflow", "odd"),
        *(
            pytest.param(name, rows, marks=pytest.mark.slow)
            for name, rows in (("overflow", "even"), ("dropless", "odd"), ("dropless", "one"))
        ),
    ],
)
def test_two_replicas_are_one_with_two_groups(name, rows, mirrored):
    one = trained(contextlib.nullcontext(), 2, ROWS[rows], **OPTIONS[name])
    two = trained(mirrored.scope(), 1, ROWS[rows], **OPTIONS[name])
    assert one.keys() == two.keys()
    assert "val_moe/switch/dropped" in one
    for key, value in one.items():
        assert np.all(np.isfinite(value)), key
        np.testing.assert_allclose(two[key], value, rtol=1e-4, atol=1e-5, err_msg=key)
    if name == "overflow":
        assert one["moe/mixture/dropped"][0] > 0.05
        assert one["val_moe/switch/dropped"][0] > 0.05


@pytest.mark.slow
def test_two_replicas_compute_uneven_loads_as_one_does(mirrored):
    """Rows that are nearly alike all choose the same experts, which no even share has room for."""
    batches = {"rows": (192, 96), "alike": True, "batch_size": 96}
    one = trained(contextlib.nullcontext(), 2, **batches, **OPTIONS["dropless"])
    two = trained(mirrored.scope(), 1, **batches, **OPTIONS["dropless"])
    loads = [one[f"moe/mixture/load_{expert}"][0] for expert in range(5)]
    assert max(loads) * 2 * 48 > 3 * 2 * 48 / (2 * 5) + routing.SPARE  # of a replica
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.slow
def test_groups_make_a_difference_that_the_comparison_would_see():
    """One replica with one group has other losses and drops others."""
    rows, options = ROWS["even"], OPTIONS["overflow"]
    grouped, whole = (trained(contextlib.nullcontext(), g, rows, **options) for g in (2, 1))
    for key in ("loss", "moe/mixture/importance_loss", "moe/switch/dropped"):
        assert not np.allclose(grouped[key], whole[key], rtol=1e-3), key
