"""Every form that a constructor's `inputs` may have."""

import warnings

import keras
import numpy as np
import pytest

from keras_mtl import Task, features, zoo
from tests.zoo.small import TRUNKS, binary_labels, build, predictions, rows

CASES = list(TRUNKS)
TASKS = ["a", "b"]


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(left[name], right[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_a_width_is_one_input_called_features(case):
    model = build(case, 5, TASKS)
    assert (model.input.name, tuple(model.input.shape)) == ("features", (None, 5))
    outputs = predictions(model, rows())
    assert {name: output.shape for name, output in outputs.items()} == {"a": (12, 1), "b": (12, 1)}
    assert not np.allclose(outputs["a"], outputs["b"])
    assert_same(predictions(build(case, np.int64(5), TASKS), rows()), outputs)


@pytest.mark.parametrize("case", CASES)
def test_a_tensor_of_a_graph_that_is_used_elsewhere(case):
    raw = keras.Input((7,), name="raw")
    hidden = keras.layers.Dense(5, name="before")(raw)
    other = keras.Model(raw, keras.layers.Dense(2)(hidden))
    model = build(case, hidden, TASKS)
    x = rows(width=7)
    before = model.get_layer("before")
    assert model.input is raw
    assert before is other.get_layer("before"), "the graph is extended, not copied"
    assert_same(predictions(model, x), predictions(build(case, 5, TASKS), before(x)))


@pytest.mark.parametrize("case", CASES)
def test_a_dict_of_tensors_is_concatenated_in_the_order_of_its_keys(case):
    late, early = keras.Input((3,), name="late"), keras.Input((2,), name="early")
    x = {"late": rows(width=3), "early": rows(width=2, seed=1)}
    joined = np.concatenate([x["late"], x["early"]], axis=1)
    expected = predictions(build(case, 5, TASKS), joined)
    for given in ({"k1": late, "k2": early}, {"k2": early, "k1": late}):
        model = build(case, given, TASKS)
        assert set(model.input) == {"late", "early"}, "inputs go by their own names"
        assert_same(predictions(model, x), expected)
        assert_same(predictions(model, dict(reversed(x.items()))), expected)


def test_a_dict_of_one_tensor_is_a_plain_input():
    model = build("ple", {"key": keras.Input((5,), name="only")}, TASKS)
    assert isinstance(model.input, keras.KerasTensor)
    assert_same(predictions(model, rows()), predictions(build("ple", 5, TASKS), rows()))


def test_an_input_beside_a_tensor_made_of_it():
    raw = keras.Input((2,), name="raw")
    hidden = keras.layers.Dense(3, name="before")(raw)
    model = build("mmoe", {"x": raw, "y": hidden}, TASKS)
    x = rows(width=2)
    assert model.input is raw
    joined = np.concatenate([x, model.get_layer("before")(x)], axis=1)
    assert_same(predictions(model, x), predictions(build("mmoe", 5, TASKS), joined))


def test_a_head_may_bring_an_input_of_its_own():
    x, extra = keras.Input((5,), name="x"), keras.Input((2,), name="extra")
    hidden = keras.layers.Concatenate()([x, extra])
    model = build("shared_bottom", hidden, TASKS)
    assert sorted(model.input) == ["extra", "x"]


def test_a_table_gives_packed_inputs_by_name():
    columns = {"city": np.array(["Rome", "Oslo", "Rome"]), "age": np.array([1.0, 2.0, np.nan])}
    table = features.TabularFeatures(categorical=["city"], numeric=["age"], embedding_dim=3)
    model = build("ple", table.adapt(columns), TASKS)
    assert sorted(model.input) == ["categorical", "numeric"]
    assert model.features is table
    assert predictions(model, table.encode(columns))["a"].shape == (3, 1)


def test_a_table_of_standardised_numbers_is_one_plain_input():
    columns = {"age": np.array([1.0, 2.0, 3.0]), "pay": np.array([3.0, 1.0, 2.0])}
    numbers = [features.Numeric(name, encoding="standard") for name in columns]
    table = features.TabularFeatures(numbers).adapt(columns)
    model = build("ple", table, TASKS)
    packed = table.encode(columns)
    model.compile("sgd")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(packed, binary_labels(packed["numeric"]), epochs=1, verbose=0)
        wrapped = model.predict(packed, verbose=0)
        plain = model.predict(packed["numeric"], verbose=0)
    assert_same(wrapped, plain)


def test_rows_of_tokens_keep_their_axis():
    model = build("mmoe", keras.Input((4, 5), name="tokens"), TASKS)
    tokens = rows(24).reshape(6, 4, 5)
    flat = predictions(build("mmoe", 5, TASKS), tokens.reshape(24, 5))
    outputs = predictions(model, tokens)
    assert_same({name: output.reshape(24, 1) for name, output in outputs.items()}, flat)


@pytest.mark.parametrize("inputs", [0, -3, True, 2.5, "features", None, {}, [3], {"x": 3}])
@pytest.mark.parametrize("constructor", [zoo.single_task, zoo.ple])
def test_other_inputs_are_refused(inputs, constructor):
    with pytest.raises(ValueError, match=r"Argument `inputs` must be .*Received: inputs="):
        constructor(inputs, TASKS)


def test_a_table_that_knows_nothing_is_refused():
    with pytest.raises(ValueError, match="`adapt` must be called first"):
        zoo.ple(features.TabularFeatures(categorical=["city"]), TASKS)


def test_two_inputs_of_one_name_are_refused():
    twins = {"x": keras.Input((2,), name="same"), "y": keras.Input((3,), name="same")}
    with pytest.raises(ValueError, match="same"):
        zoo.ple(twins, TASKS)


def test_a_task_named_as_an_input_is_refused():
    with pytest.raises(ValueError, match="features"):
        zoo.shared_bottom(5, ["features", "b"])


@pytest.mark.parametrize("name", zoo.list_models())
def test_tasks_may_come_from_a_generator(name):
    inputs = keras.Input((6,), dtype="int32", name="tokens") if "switch" in name else 5
    arguments = {"vocabulary_size": 9, "pooling": "mean"} if "switch" in name else {}
    model = zoo.create(name, inputs, (Task(task) for task in "ba"), **arguments)
    assert [task.name for task in model.tasks] == ["b", "a"]
