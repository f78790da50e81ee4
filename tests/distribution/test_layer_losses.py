"""Losses that layers add stay in the step of their replica, also where steps communicate."""

import contextlib
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, Task, zoo
from tests.distribution.problem import assert_same
from tests.training.own_loops import Logging

BATCH_SIZE = 16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4 * BATCH_SIZE, 5)).astype("float32")
Y = {"a": (X[:, 0] > 0).astype("int64")}


class Mean(keras.layers.Layer):
    """Hands its inputs on, and keeps their mean over all replicas."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(), trainable=False, aggregation="mean", name="mean")

    def call(self, inputs):
        self.mean.assign(keras.ops.mean(inputs))
        return inputs


def norm():
    return keras.layers.BatchNormalization(synchronized=True)


@pytest.mark.parametrize(
    ("between", "cls"),
    [(Mean, MultiTaskModel), (norm, MultiTaskModel), (norm, Logging)],
    ids=["aggregated_assign", "synchronized_norm", "own_step"],
)
def test_a_regularizer_is_logged_right_and_trains_as_on_one_replica(mirrored, between, cls):
    found = []
    for scope in (contextlib.nullcontext(), mirrored.scope()):
        keras.utils.set_random_seed(0)
        with scope:
            x = inputs = keras.Input((5,), name="x")
            for number in range(3):
                layer = keras.layers.Dense(4, activity_regularizer="l2", name=f"hidden_{number}")
                x = between()(layer(x))
            outputs = {"a": keras.layers.Dense(1, "sigmoid", name="head")(x)}
            model = cls(inputs=inputs, outputs=outputs, tasks=[Task("a")])
            model.compile(keras.optimizers.SGD(0.2), metrics=[])
        logs = model.fit(X, Y, batch_size=BATCH_SIZE, epochs=2, shuffle=False, verbose=0).history
        penalty = np.subtract(logs["loss"], logs["a_loss"])
        assert (penalty > 0.01).all()
        weights = {f"{i}": weight for i, weight in enumerate(model.get_weights())}
        found.append(weights | {"penalty": penalty})
    assert_same(found[1], found[0])


def test_what_a_mixture_adds_is_what_it_records(mirrored):
    with mirrored.scope():
        model = zoo.moe(
            5,
            ["a"],
            num_experts=4,
            expert_units=6,
            tower_units=3,
            normalization="batch",
            importance_loss=1.0,
            load_loss=0.0,
            noisy=False,
            seed=0,
        )
        model.compile(keras.optimizers.SGD(0.1), metrics=[])
    logs = model.fit(X, Y, batch_size=BATCH_SIZE, shuffle=False, verbose=0).history
    (record,) = (values for name, values in logs.items() if name.endswith("importance_loss"))
    added = np.subtract(logs["loss"], logs["a_loss"])
    assert record[0] > 0.01
    np.testing.assert_allclose(added, record, rtol=1e-5)


def test_a_loss_outside_of_a_step_is_where_keras_keeps_it():
    model = zoo.moe(5, ["a"], num_experts=4, expert_units=6, tower_units=3, seed=0)
    model(X, training=True)
    before = [float(loss) for loss in model.losses]
    model.compile("sgd")
    model.fit(X, Y, verbose=0)
    assert [float(loss) for loss in model.losses] == before
    model(X[:8], training=True)
    after = [float(loss) for loss in model.losses]
    assert len(after) == len(before) > 0
    assert after != before


class Adding(keras.layers.Layer):
    def call(self, inputs):
        self.add_loss(keras.ops.sum(inputs))
        return inputs


class OnlyThese:
    """What the list of a layer must be able to do, and nothing else."""

    def __init__(self):
        self.losses = []

    def extend(self, losses):
        self.losses.extend(losses)

    def clear(self):
        self.losses.clear()

    def __getitem__(self, index):
        return self.losses[index]


def test_keras_still_keeps_one_list_for_all_threads():
    """The fault that `keras_mtl/training/layer_losses.py` mends: where this fails, it can go."""
    layer = Adding()
    thread = threading.Thread(target=layer, args=(tf.ones((2,)),))
    thread.start()
    thread.join()
    assert [float(loss) for loss in layer.losses] == [2.0]


def test_keras_still_uses_the_list_as_ours_stands_in_for_it():
    layer = Adding()
    object.__setattr__(layer, "_losses", OnlyThese())
    for size in (2, 3):
        layer(tf.ones((size,)))
        assert [float(loss) for loss in layer.losses] == [size]
