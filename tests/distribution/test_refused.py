"""What gives other numbers on several replicas, or none, is refused in `compile`."""

import contextlib

import keras
import pytest
import tensorflow as tf

from keras_mtl import zoo
from keras_mtl.training import replicas

SGD = keras.optimizers.SGD


@pytest.fixture(scope="module")
def model(mirrored):
    with mirrored.scope():
        return zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=())


REFUSED = [
    ({"steps_per_execution": 4}, "steps_per_execution"),
    ({"jit_compile": True}, "jit_compile"),
    ({"optimizer": lambda: SGD(gradient_accumulation_steps=2)}, "gradient_accumulation_steps"),
    ({"optimizer": lambda: SGD(clipnorm=1.0)}, "clipnorm"),
    ({"optimizer": lambda: SGD(global_clipnorm=1.0)}, "global_clipnorm"),
    ({"optimizer": lambda: SGD(clipvalue=1.0)}, "clipvalue"),
    (
        {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(SGD(clipnorm=1.0))},
        "clipnorm",
    ),
    (
        {
            "optimizer": lambda: keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(SGD(), {"bottom": SGD(clipvalue=1.0)})
            )
        },
        "clipvalue",
    ),
]


def made(arguments):
    return {name: value() if callable(value) else value for name, value in arguments.items()}


@pytest.mark.parametrize(("arguments", "named"), REFUSED)
@pytest.mark.parametrize("in_scope", [False, True])
def test_refused_on_two_replicas(arguments, named, in_scope, model, mirrored):
    sentence = rf"{named}` must not be set on several replicas; .*Received: .*replicas=2"
    scope = mirrored.scope() if in_scope else contextlib.nullcontext()
    with scope, pytest.raises(ValueError, match=sentence):
        model.compile(**made(arguments))
    assert not model.compiled


@pytest.mark.parametrize(("arguments", "named"), REFUSED[:-1])
def test_allowed_on_one_replica(arguments, named):
    model = zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=())
    model.compile(**made(arguments))
    assert model.compiled


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"steps_per_execution": 1},
        {"jit_compile": False},
        {"jit_compile": "auto"},
        {"optimizer": lambda: SGD(clipnorm=None, momentum=0.9)},
    ],
)
def test_allowed_on_two_replicas(arguments, mirrored):
    with mirrored.scope():
        model = zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=())
        model.compile(**made(arguments))
    assert model.steps_per_execution == 1
    assert not model.jit_compile


def test_parameter_servers_are_refused(monkeypatch):
    servers = object.__new__(tf.distribute.ParameterServerStrategy)
    monkeypatch.setattr(tf.distribute, "get_strategy", lambda: servers)
    with pytest.raises(
        ValueError, match=r"default, OneDevice, .*Received: ParameterServerStrategy"
    ):
        replicas.check_strategy()
