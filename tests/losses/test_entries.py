import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl.losses.entries import OwnLoss, default_loss, joint_crossentropy, log_probability
from keras_mtl.task import as_config
from tests.reference.losses import ENTRIES, product_crossentropy, sigmoid

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_default_losses_are_those_of_single_entries(kind):
    logits = (RNG.normal(size=(5, 2, 3)) * 15).astype("float32")
    labels = RNG.integers(0, 2, (5, 2, 1 if kind == "multiclass" else 3)).astype("float32")
    losses, _ = ENTRIES[kind](labels, logits)
    found = ops.convert_to_numpy(default_loss(kind)(labels, logits))
    np.testing.assert_allclose(found, losses, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "sizes", [(0.1, -0.3), (20, 20), (-20, -20), (60, -60), (-80, -80), (40, 40)]
)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_the_product_is_exact_in_float32(sizes, label):
    logits = [np.array([[size]], "float32") for size in sizes]
    losses, _ = product_crossentropy(label, *logits)
    logs = [log_probability(ops.convert_to_tensor(z), is_logits=True) for z in logits]
    found = ops.convert_to_numpy(joint_crossentropy(label, logs))
    np.testing.assert_allclose(found, losses, rtol=1e-5, atol=1e-12)


def test_a_certain_product_has_a_finite_loss():
    """log(1 - p) of a product that float32 rounds to 1."""
    logs = [ops.convert_to_tensor(np.zeros((1, 1), "float32"))]
    assert np.isfinite(ops.convert_to_numpy(joint_crossentropy(0.0, logs))).all()
    assert ops.convert_to_numpy(joint_crossentropy(1.0, logs)) == pytest.approx(0.0, abs=1e-6)


def test_log_probability_of_a_probability():
    p = sigmoid(np.array([[-3.0], [2.0]])).astype("float32")
    found = ops.convert_to_numpy(log_probability(ops.convert_to_tensor(p), is_logits=False))
    np.testing.assert_allclose(found, np.log(p), rtol=1e-5)
    zero = log_probability(ops.zeros((1, 1)), is_logits=False)
    assert np.isfinite(ops.convert_to_numpy(zero)).all()


@pytest.mark.parametrize(
    ("loss", "logits"),
    [
        ("binary_crossentropy", True),
        ("mse", False),
        (keras.losses.BinaryCrossentropy(from_logits=True), True),
        (keras.losses.BinaryCrossentropy(), False),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), True),
        (keras.losses.binary_crossentropy, False),
        (lambda y, p: ops.mean(ops.abs(y - p), axis=-1), False),
    ],
)
def test_a_loss_says_whether_it_wants_logits(loss, logits):
    assert OwnLoss(loss, "binary").from_logits is logits


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        ("mse", keras.losses.mean_squared_error),
        ("log_cosh", keras.losses.log_cosh),
        (keras.losses.Huber(delta=0.3), lambda y, p: keras.losses.huber(y, p, delta=0.3)),
        (
            keras.losses.BinaryFocalCrossentropy(gamma=1.0),
            lambda y, p: keras.losses.binary_focal_crossentropy(y, p, gamma=1.0),
        ),
    ],
)
def test_columns_are_evaluated_one_by_one(loss, reference):
    labels = RNG.integers(0, 2, (4, 1, 3)).astype("float32")
    outputs = sigmoid(RNG.normal(size=(4, 1, 3))).astype("float32")
    found = ops.convert_to_numpy(OwnLoss(loss, "multilabel")(labels, outputs))
    for column in range(3):
        one = slice(column, column + 1)
        expected = reference(labels[..., one], outputs[..., one])
        np.testing.assert_allclose(found[..., column], ops.convert_to_numpy(expected), rtol=1e-5)


def test_a_config_gives_the_loss_of_its_object():
    labels, outputs = np.ones((2, 1, 1), "float32"), np.array([[[0.0]], [[4.0]]], "float32")
    loss = keras.losses.Huber(delta=2.0)
    expected = OwnLoss(loss, "regression")(labels, outputs)
    found = OwnLoss(as_config(loss), "regression")(labels, outputs)
    np.testing.assert_array_equal(ops.convert_to_numpy(found), ops.convert_to_numpy(expected))
    assert ops.convert_to_numpy(found).ravel() == pytest.approx([0.5, 4.0])
