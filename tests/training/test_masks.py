"""Keras masks: what they hide has no part in losses, metrics and gradients, whatever its label."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task

KINDS = {"binary": 1, "multiclass": 3, "multilabel": 2, "regression": 2}
IDS = np.array([[1, 2, 0, 0], [3, 1, 2, 0], [0, 0, 0, 0], [2, 0, 0, 0]], "int32")


def build(kind, loss=None, own_head=False):
    """One task on tokens of which id 0 is masked; a head by a layer of the user's or by its op."""
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    uniform = keras.initializers.RandomUniform(seed=1)
    hidden = keras.layers.Embedding(5, 4, uniform, mask_zero=True)(tokens)
    activation = {"multiclass": "softmax", "regression": None}.get(kind, "sigmoid")
    units = KINDS[kind]
    glorot = keras.initializers.GlorotUniform(seed=2)
    if own_head:
        logits = keras.layers.Dense(units, kernel_initializer=glorot)(hidden)
        output = keras.layers.Activation(activation)(logits)
    else:
        output = keras.layers.Dense(units, activation, kernel_initializer=glorot)(hidden)
    task = Task("tag", kind, units=units, loss=loss)
    model = MultiTaskModel(inputs=tokens, outputs={"tag": output}, tasks=[task])
    model.compile(keras.optimizers.SGD(1.0))
    return model


def labels_of(kind, hidden_as):
    """Labels of real tokens, and at padding what `hidden_as` says."""
    generator = np.random.default_rng(0)
    if kind == "multiclass":
        labels = generator.integers(0, 3, (4, 4)).astype("float32")
    else:
        labels = generator.integers(0, 2, (4, 4, KINDS[kind])).astype("float32")
    labels[IDS == 0] = hidden_as
    return labels


@pytest.mark.parametrize("own_head", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_a_mask_hides_are_missing_ones(kind, own_head):
    results = []
    for hidden_as in (np.nan, 0.0, 1.0):
        model = build(kind, own_head=own_head)
        labels = labels_of(kind, hidden_as)
        logs = model.evaluate(IDS, labels, verbose=0, return_dict=True)
        fitted = model.fit(IDS, labels, verbose=0, shuffle=False, epochs=2).history
        results.append((logs, fitted, model.get_weights()))
    missing, *others = results
    assert missing[0]["tag_loss"] > 0
    for other in others:
        assert other[0] == pytest.approx(missing[0])
        assert other[1].keys() == missing[1].keys()
        for name, values in missing[1].items():
            assert other[1][name] == pytest.approx(values), name
        for mine, theirs in zip(other[2], missing[2], strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-7)


def test_a_loss_of_ones_own_sees_the_mask():
    own = build("regression", loss="mae")
    found = own.evaluate(IDS, labels_of("regression", 1.0), verbose=0, return_dict=True)
    real = IDS > 0
    errors = np.abs(own.predict(IDS, verbose=0)["tag"] - labels_of("regression", 1.0))[real]
    assert found["tag_loss"] == pytest.approx(errors.mean())


def test_a_mask_of_whole_rows():
    features = keras.Input((3,), name="features")
    hidden = keras.layers.Masking(0.0)(features)
    outputs = {"price": keras.layers.Dense(1)(hidden)}
    model = MultiTaskModel(inputs=features, outputs=outputs, tasks=[Task("price", "regression")])
    model.compile("sgd")
    x = np.array([[1, 2, 3], [0, 0, 0], [3, 2, 1]], "float32")
    y = np.array([1.0, 50.0, 2.0], "float32")
    expected = np.mean((model.predict(x, verbose=0)["price"][:, 0] - y)[[0, 2]] ** 2)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(expected)


def test_a_mask_hides_rows_of_the_entire_space_too():
    features = keras.Input((3,), name="features")
    hidden = keras.layers.Masking(0.0)(features)
    outputs = {name: keras.layers.Dense(1, "sigmoid")(hidden) for name in ("click", "buy")}
    tasks = [Task("click"), Task("buy", given="click", trained_on="all")]
    model = MultiTaskModel(inputs=features, outputs=outputs, tasks=tasks)
    model.compile("sgd")
    x = np.array([[1, 2, 3], [0, 0, 0], [3, 2, 1]], "float32")
    labels = {"click": np.array([1.0, 1.0, 0.0]), "buy": np.array([1.0, 0.0, 0.0])}
    real = {name: values[[0, 2]] for name, values in labels.items()}
    expected = model.evaluate(x[[0, 2]], real, verbose=0, return_dict=True)
    # One purchase is one class, and has no curve.
    assert {name for name, value in expected.items() if np.isnan(value)} == {"buy_auc"}
    found = model.evaluate(x, labels, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_label_that_a_mask_hides_in_a_dataset_may_be_anything():
    import tensorflow as tf

    model = build("multiclass")
    rows = tf.data.Dataset.from_tensor_slices((IDS, labels_of("multiclass", -100.0))).batch(4)
    missing = model.evaluate(IDS, labels_of("multiclass", np.nan), verbose=0)
    assert model.evaluate(rows, verbose=0) == pytest.approx(missing)
