"""Columns may be called anything."""

import pytest

from keras_mtl.serving.argument_names import argument_names


def test_names_that_tensorflow_takes_stay():
    plain = ["age", "B", "a.b", "x-y", "n_1", "1st", "inputs"]
    assert argument_names(plain) == {name: name for name in plain}


@pytest.mark.parametrize("name", ["capital gain", "co$t", "x:0", "a/b", "ä", "_x", "class", "self"])
def test_other_names_get_an_argument_of_their_own(name):
    argument = argument_names(["plain", name])[name]
    assert argument != name
    assert argument.isascii()
    assert argument.replace("_", "").isalnum()


def test_arguments_stay_apart():
    alike = ["Age", "age", "a b", "a_b", "a-b", "input_0", "é", "ö", "class", "Class"]
    arguments = argument_names(alike)
    folded = {argument.casefold().replace("-", "_") for argument in arguments.values()}
    assert len(folded) == len(alike)
