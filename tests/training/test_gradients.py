"""Confidently wrong rows keep their gradient, masked ones have none; on TensorFlow and on JAX."""

import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task
from tests.reference.losses import task_loss
from tests.training.free_logits import (
    FreeLogits,
    activation_layer,
    dense_activation,
    operation,
    own_heads,
    softmax_layer,
    stacked_heads,
)

LOGITS = np.array([[20.0], [-20.0], [20.0], [-20.0], [20.0], [-20.0], [0.5]])
LABELS = np.array([[0], [1], [1], [0], [-1], [-1], [1]])


def assert_gradients(found, kind, labels, logits, weights=1.0):
    known = labels >= 0
    _, gradient = task_loss(kind, labels, logits, known, weights)
    np.testing.assert_allclose(found, gradient, rtol=1e-4, atol=1e-9)
    assert np.abs(found[:2]).max(axis=-1) == pytest.approx(1 / known.sum(), rel=1e-4)
    np.testing.assert_array_equal(found[~known[:, 0]], 0)


@pytest.mark.parametrize("head", [dense_activation, activation_layer, operation])
def test_binary_heads(head):
    logs, gradients = own_heads(["a"], {"a": LOGITS}, head).step({"a": LABELS})
    assert_gradients(gradients["a"], "binary", LABELS, LOGITS)
    assert logs["a_loss"] == pytest.approx((40 + np.logaddexp(0, -0.5)) / 5, rel=1e-5)


def test_heads_of_another_model_with_tasks_of_its_own():
    old = stacked_heads(["b", "a"], {"a": LOGITS, "b": -LOGITS})
    task = Task("b", missing=0)
    model = MultiTaskModel(old.model.input, {"b": old.model.output["b"]}, tasks=[task])
    rows = FreeLogits(model, {"b": -LOGITS}, {"b": (model.get_layer("logits").weights[0], 1)})
    labels = np.where(LABELS < 0, 0, 1)
    _, gradients = rows.step({"b": labels})
    _, right = task_loss("binary", labels, -LOGITS, labels > 0)
    np.testing.assert_allclose(gradients["b"], right, rtol=1e-4, atol=1e-9)


def test_heads_of_the_zoo():
    weights = np.arange(1.0, 8.0)
    logs, gradients = stacked_heads(["b", "a"], {"a": LOGITS, "b": -LOGITS}).step(
        {"a": LABELS, "b": LABELS[:, 0]}, fit={"sample_weight": {"b": weights}}
    )
    assert_gradients(gradients["a"], "binary", LABELS, LOGITS)
    _, right = task_loss("binary", LABELS, -LOGITS, LABELS >= 0, weights[:, None])
    np.testing.assert_allclose(gradients["b"], right, rtol=1e-4, atol=1e-9)
    assert logs["a_loss"] > 8


@pytest.mark.parametrize("head", [dense_activation, activation_layer, operation, softmax_layer])
def test_heads_of_classes(head):
    logits = np.zeros((6, 3))
    logits[np.arange(6), [0, 2, 0, 2, 1, 1]] = 20.0
    logits[0, 1], logits[1, 0] = -20.0, -20.0
    labels = np.array([[1], [0], [0], [2], [-1], [1]])
    _, gradients = own_heads([Task("a", "multiclass", 3)], {"a": logits}, head).step({"a": labels})
    assert_gradients(gradients["a"], "multiclass", labels, logits)


def test_heads_of_columns():
    logits = np.concatenate([LOGITS, -LOGITS], axis=-1)
    labels = np.concatenate([LABELS, LABELS[::-1]], axis=-1)
    _, gradients = own_heads([Task("a", "multilabel", 2)], {"a": logits}).step({"a": labels})
    _, right = task_loss("multilabel", labels, logits, labels >= 0)
    np.testing.assert_allclose(gradients["a"], right, rtol=1e-4, atol=1e-9)


def test_the_product_of_a_chain_keeps_its_gradient():
    tasks = [Task("click"), Task("buy", given="click", trained_on="all")]
    logits = {
        "click": np.array([[20.0], [-20.0], [20.0]]),
        "buy": np.array([[20.0], [-20.0], [-20.0]]),
    }
    y = {"click": np.array([0, 1, 1]), "buy": np.array([-1, 1, 1])}
    logs, gradients = own_heads(tasks, logits).step(y)
    # row 0: p = 1 - 4e-9 with label 0; rows 1 and 2: p = 4e-18 and 2e-9 with label 1
    assert logs["buy_loss"] == pytest.approx((-np.log(4.1223e-9) + 40 + 20) / 3, rel=1e-4)
    np.testing.assert_allclose(
        gradients["buy"].ravel(), [0.5 / 3, -1 / 3, -1 / 3], rtol=1e-3, atol=1e-9
    )
