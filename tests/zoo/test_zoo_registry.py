"""The catalogue of constructors."""

import numpy as np
import pytest

from keras_mtl import MultiTaskModel, zoo
from tests.zoo.small import predictions, rows

NAMES = {"single_task", "shared_bottom", "mmoe", "cgc", "ple"}


def test_all_constructors_are_listed_in_order():
    listed = zoo.list_models()
    assert set(listed) >= NAMES
    assert listed == sorted(listed)
    assert all(getattr(zoo, name) is zoo.get_constructor(name) for name in listed)


def test_a_pattern_chooses():
    assert zoo.list_models("s*") == [name for name in zoo.list_models() if name[0] == "s"]
    assert zoo.list_models("nothing*") == []


@pytest.mark.parametrize("name", sorted(NAMES))
def test_create_is_the_constructor(name):
    created = zoo.create(name, 5, ["b", "a"], seed=3, tower_units={"a": 2, "b": 3})
    called = zoo.get_constructor(name)(5, ["b", "a"], seed=3, tower_units={"a": 2, "b": 3})
    assert isinstance(created, MultiTaskModel)
    assert created.name == called.name == name
    expected = predictions(called, rows())
    for task, prediction in predictions(created, rows()).items():
        np.testing.assert_array_equal(prediction, expected[task])


def test_create_names_the_model():
    assert zoo.create("ple", 5, ["a"], name="mine").name == "mine"


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"`name` must be one of .*Did you mean 'mmoe'\?.*'mmeo'"):
        zoo.create("mmeo", 5, ["a"])
    with pytest.raises(TypeError, match="levles"):
        zoo.create("ple", 5, ["a"], levles=2)
