"""The signature of serialized `tf.train.Example`s, where a model has no table or rare columns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, Task, features, zoo
from keras_mtl.serving.signatures import signature_functions
from keras_mtl.serving.tf_examples import as_examples


def hand_written(**inputs):
    joined = [keras.layers.Flatten()(keras.ops.cast(x, "float32")) for x in inputs.values()]
    hidden = keras.layers.Concatenate()(joined)
    outputs = {"t": keras.layers.Dense(1, "sigmoid")(hidden)}
    return MultiTaskModel(inputs=inputs, outputs=outputs, tasks=["t"])


@pytest.fixture(scope="module")
def mixed():
    """A model with an input of each kind of number, and rows for it."""
    model = hand_written(
        image=keras.Input((2, 3), name="image"),
        flag=keras.Input((1,), dtype="bool", name="flag"),
        id=keras.Input((2,), dtype="int32", name="id"),
        half=keras.Input((1,), dtype="float16", name="half"),
    )
    generator = np.random.default_rng(0)
    rows = {
        "image": generator.normal(size=(4, 2, 3)).astype("float32"),
        "flag": np.array([[True], [False], [True], [True]]),
        "id": generator.integers(-9, 9, (4, 2)).astype("int32"),
        "half": np.array([[0.5], [-1.0], [2.0], [0.0]], "float16"),
    }
    return model, rows


def test_own_inputs_of_all_dtypes_and_shapes(mixed):
    model, rows = mixed
    served = signature_functions(model)["examples"](examples=tf.constant(as_examples(rows)))
    np.testing.assert_allclose(served["t"], model.predict(rows, verbose=0)["t"], atol=1e-6)


def test_own_inputs_are_all_required(mixed):
    model, rows = mixed
    del (rows := dict(rows))["id"]
    function = signature_functions(model)["examples"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="id"):
        function(examples=tf.constant(as_examples(rows)))


def test_an_input_of_unknown_size_leaves_the_signature_out():
    model = hand_written(steps=keras.Input((3, 2), name="steps"), x=keras.Input((1,), name="x"))
    assert "examples" in signature_functions(model)
    steps = keras.Input((None, 2), name="steps")
    outputs = {"t": keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(steps))}
    model = MultiTaskModel(inputs=steps, outputs=outputs, tasks=[Task("t", "regression")])
    assert set(signature_functions(model)) == {"serving_default", "packed", "t"}


@pytest.fixture(scope="module")
def lists():
    """A model on hashed integers and a sequence of integers."""
    table = features.TabularFeatures(
        [
            features.Category("user", hash_buckets=7),
            features.Sequence("item", max_length=2, missing=0),
        ],
        seed=0,
    ).adapt({"user": np.array([5, 6]), "item": [[1, 2], [3, 0]]})
    model = zoo.shared_bottom(table, ["a"], bottom_units=3, tower_units=2, seed=0)
    for weight in model.weights:  # unknown and missing values start at zero
        weight.assign(keras.random.normal(weight.shape, seed=1))
    return model, signature_functions(model)["examples"]


def example(**values):
    made = tf.train.Example()
    for name, numbers in values.items():
        made.features.feature[name].int64_list.value.extend(numbers)
    return made.SerializeToString()


def test_rows_of_lists_of_every_length(lists):
    model, function = lists
    rows = [example(user=[5], item=[1]), example(item=[9, 2, 0, 3]), example(user=[2**60], item=[])]
    raw = {"user": [5, None, 2**60], "item": [[1], [9, 2, 0, 3], []]}
    expected = model.predict(model.features.encode(raw), verbose=0)["a"]
    assert len({float(value) for value in expected[:, 0]}) == 3
    for asked in (slice(0, 3), slice(1, 2), slice(0, 0)):
        found = function(examples=tf.constant(rows[asked], tf.string))["a"]
        np.testing.assert_allclose(found, expected[asked], atol=1e-6)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (example(user=[5, 6]), "Key: user.*Number of int64 values != expected"),
        (b"no example", "Could not parse example input"),
    ],
)
def test_a_wrong_row_is_refused(row, said, lists):
    _, function = lists
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        function(examples=tf.constant([row]))


def test_a_feature_of_another_type_is_refused(lists):
    _, function = lists
    row = tf.train.Example()
    row.features.feature["user"].bytes_list.value.append(b"5")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Data types don't match"):
        function(examples=tf.constant([row.SerializeToString()]))
