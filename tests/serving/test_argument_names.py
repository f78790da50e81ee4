"""Columns may be called anything."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task
from keras_mtl.serving.argument_names import argument_names
from tests.serving.served import serve


def test_names_that_tensorflow_takes_stay():
    plain = ["age", "B", "n_1", "inputs"]
    assert argument_names(plain) == {name: name for name in plain}


OTHER_NAMES = "capital gain", "co$t", "x:0", "a/b", "ä", "_x", "class", "self", "a.b", "x-y", "1st"


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names_get_an_argument_of_their_own(name):
    argument = argument_names(["plain", name])[name]
    assert argument != name
    assert argument.isascii()
    assert argument.isidentifier()


def test_arguments_stay_apart():
    alike = ["Age", "age", "a b", "a_b", "a-b", "input_0", "é", "ö", "class", "Class"]
    arguments = argument_names(alike)
    folded = {argument.casefold().replace("-", "_") for argument in arguments.values()}
    assert len(folded) == len(alike)


def test_an_input_may_bear_the_argument_of_another(tmp_path):
    """`input_1` is reserved and becomes `input_0`; `input_2` becomes `input_1`."""
    inputs = {name: keras.Input((1,), name=name) for name in ("class", "input_0", "input_1")}
    total = keras.layers.Concatenate()([inputs[name] for name in sorted(inputs)])
    kernel = keras.initializers.Constant(np.array([[1.0], [10.0], [100.0]]))
    outputs = {"a": keras.layers.Dense(1, kernel_initializer=kernel)(total)}
    model = MultiTaskModel(inputs=inputs, outputs=outputs, tasks=[Task("a", "regression")])
    model.export(tmp_path / "1", verbose=False)
    rows = {name: np.full((1, 1), i, "float32") for i, name in enumerate(sorted(inputs), 1)}
    answers = serve(tmp_path / "1", {"all": ("packed", rows)})
    np.testing.assert_allclose(answers["all"]["a"], [[321.0]])
