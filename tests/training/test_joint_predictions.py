"""A task that is trained on all rows: its product in predictions, and how well that ranks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from keras_mtl import Task
from tests.reference.losses import sigmoid
from tests.training.free_logits import own_heads, stacked_heads

ROWS = 40
TASKS = [
    Task("click"),
    Task("cart", given="click"),
    Task("buy", given="cart", trained_on="all"),
]
RNG = np.random.default_rng(6)
LOGITS = {t.name: RNG.permutation(np.linspace(-3, 3, ROWS))[:, None] for t in TASKS}
PRODUCT = np.prod([sigmoid(logits) for logits in LOGITS.values()], axis=0)


def funnel():
    """Labels of a chain, in which a later one is 1 only where an earlier one is."""
    click = RNG.choice([-1, 0, 1, 1, 1], ROWS)
    cart = np.where(click == 1, RNG.choice([-1, 0, 1, 1], ROWS), -1)
    return {"click": click, "cart": cart, "buy": np.where(cart == 1, RNG.integers(0, 2, ROWS), -1)}


@pytest.fixture(scope="module")
def rows():
    made = own_heads(TASKS, LOGITS)
    made.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return made


@pytest.mark.parametrize("form", ["arrays", "dataset", "one batch"])
def test_predictions_hold_the_product_beside_the_conditional(rows, form):
    if form == "one batch":
        found = rows.model.predict_on_batch(rows.x)
    else:
        data = tf.data.Dataset.from_tensor_slices(rows.x).batch(7)
        found = rows.model.predict(rows.x if form == "arrays" else data, verbose=0)
    assert list(found) == ["click", "cart", "buy", "buy_joint"]
    np.testing.assert_allclose(found["buy"], sigmoid(LOGITS["buy"]), rtol=1e-5)
    np.testing.assert_allclose(found["buy_joint"], PRODUCT, rtol=1e-5)


def test_the_models_output_stays_the_tasks_own(rows):
    assert set(rows.model.output) == set(rows.model(rows.x)) == {"click", "cart", "buy"}
    assert rows.model.predict(rows.x[:0], verbose=0)["buy_joint"].shape == (0, 1)


@pytest.mark.parametrize("heads", [own_heads, stacked_heads])
def test_the_auc_of_the_product_is_over_all_rows(heads):
    y, weights = funnel(), RNG.gamma(1.0, 1.0, ROWS)
    logs, _ = heads(TASKS, LOGITS).step(y, {"sample_weight": {"buy": weights}}, metrics=None)
    columns = list(y.values())
    known = np.logical_or.reduce([column == 0 for column in columns])
    known |= np.logical_and.reduce([column == 1 for column in columns])
    label = np.logical_and.reduce([column == 1 for column in columns])
    auc = roc_auc_score(label[known], PRODUCT[known], sample_weight=weights[known])
    assert logs["buy_joint_auc"] == pytest.approx(auc, abs=2e-4)
    exists = (y["cart"] == 1) & (y["buy"] >= 0)
    auc = roc_auc_score(y["buy"][exists], LOGITS["buy"][exists], sample_weight=weights[exists])
    assert logs["buy_auc"] == pytest.approx(auc, abs=2e-4)
    assert {name for name in logs if name.endswith("_auc")} == {
        *(f"{task.name}_auc" for task in TASKS),
        "buy_joint_auc",
    }


def test_metrics_of_ones_own_take_the_place_of_both(rows):
    logs, _ = own_heads(TASKS, LOGITS).step(funnel(), metrics={"buy": ["accuracy"]})
    assert {name for name in logs if name.startswith("buy")} == {"buy_loss", "buy_accuracy"}


def test_batches_of_the_product_add_up():
    y = funnel()
    made = own_heads(TASKS, LOGITS)
    made.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    found = [
        made.model.evaluate(made.x, y, batch_size=size, return_dict=True, verbose=0)
        for size in (9, ROWS)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert set(made.model.metrics_names) == set(found[0])
