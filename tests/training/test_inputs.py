"""What a model takes as inputs: in the structure it was made with, by name, or alone."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from keras_mtl import MultiTaskModel, features, zoo

ROWS = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
LABELS = {"t": (ROWS[:, 0] > 0).astype("float32")}
FRAME = pd.DataFrame(ROWS, columns=[*"abcd"])
ENCODE = re.escape("`model.features.encode(")


def on(inputs: Any) -> MultiTaskModel:
    rows = keras.ops.concatenate(keras.tree.flatten(inputs), axis=-1)
    kernel = keras.initializers.Constant(np.array([[1.0], [2.0], [3.0], [4.0]]))
    head = keras.layers.Dense(1, "sigmoid", kernel_initializer=kernel)
    model = MultiTaskModel(inputs=inputs, outputs={"t": head(rows)}, tasks=["t"])
    model.compile("sgd")
    return model


def one() -> keras.KerasTensor:
    return keras.Input((4,), name="rows")


def four() -> dict[str, keras.KerasTensor]:
    return {name: keras.Input((1,), name=name) for name in "abcd"}


def check_every_way(model: MultiTaskModel, x: Any) -> None:
    """Fits, evaluates and predicts, whole and by batch; answers are those of the plain rows."""
    expected = 1 / (1 + np.exp(-ROWS @ np.array([[1.0], [2.0], [3.0], [4.0]])))
    np.testing.assert_allclose(model.predict(x, verbose=0)["t"], expected, rtol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(x)["t"], expected, rtol=1e-5)
    model.evaluate(x, LABELS, verbose=0)
    model.test_on_batch(x, LABELS)
    model.train_on_batch(x, LABELS)
    model.fit(x, LABELS, validation_data=(x, LABELS), verbose=0)


ONE = {
    "tensor": lambda tensor: tensor,
    "list of one": lambda tensor: [tensor],
    "dict of one": lambda tensor: {"rows": tensor},
    "inputs of another model": lambda tensor: on(tensor).inputs,
}
ALONE = {
    "array": ROWS,
    "list of rows": ROWS.tolist(),
    "frame": FRAME,
    "tensor": keras.ops.convert_to_tensor(ROWS),
    "by name": {"rows": ROWS},
}


QUICK = ("array", "frame")


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(x, id=name, marks=[pytest.mark.slow] * (name not in QUICK))
        for name, x in ALONE.items()
    ],
)
@pytest.mark.parametrize("structure", ONE.values(), ids=ONE)
def test_one_input_is_given_alone_or_by_name(structure: Callable[..., Any], x: Any) -> None:
    check_every_way(on(structure(one())), x)


def test_a_list_of_one_also_takes_a_list_of_one() -> None:
    check_every_way(on([one()]), [ROWS])


def test_a_list_of_one_row_is_a_row() -> None:
    assert on([one()]).predict([[1.0, 2.0, 3.0, 4.0]], verbose=0)["t"].shape == (1, 1)


def test_calls_of_a_list_of_one_take_a_tensor() -> None:
    """Without Keras' warning of another structure."""
    assert on([one()])(keras.ops.convert_to_tensor(ROWS))["t"].shape == (8, 1)


@pytest.mark.parametrize("structure", [dict, lambda by_name: [*by_name.values()]])
def test_several_inputs_are_given_as_a_frame(structure: Callable[..., Any]) -> None:
    check_every_way(on(structure(four())), FRAME)


def test_columns_of_a_frame_are_found_by_name_and_others_left_out() -> None:
    model = on(four())
    frame = FRAME[[*"dbca"]].assign(e="words")
    np.testing.assert_allclose(
        model.predict(frame, verbose=0)["t"], model.predict(FRAME, verbose=0)["t"]
    )
    with pytest.raises(ValueError, match="Missing: 'b'"):
        model.predict(FRAME[["a", "c", "d"]], verbose=0)


# --- tables ---

RAW = {"city": np.array(["Rome", "Oslo"] * 4), "age": ROWS[:, 0]}


def on_table(*columns: str) -> MultiTaskModel:
    table = features.TabularFeatures(
        categorical=[name for name in columns if name == "city"],
        numeric=[name for name in columns if name == "age"],
        embedding_dim=2,
    )
    model = zoo.shared_bottom(table.adapt({name: RAW[name] for name in columns}), ["t"])
    model.compile("sgd")
    return model


@pytest.mark.parametrize("columns", [["city", "age"], ["city"], ["age"]], ids="-".join)
@pytest.mark.parametrize("make", [dict, pd.DataFrame])
def test_raw_columns_are_to_be_encoded(columns: list[str], make: Any) -> None:
    model, x = on_table(*columns), make({name: RAW[name] for name in columns})
    if len(columns) == 1 and make is pd.DataFrame and columns == ["age"]:
        pytest.skip("a frame of one number is an array of numbers")
    with pytest.raises(ValueError, match=ENCODE):
        model.fit(x, LABELS, verbose=0)
    with pytest.raises(ValueError, match=ENCODE):
        model.predict(x, verbose=0)
    with pytest.raises(ValueError, match=ENCODE):
        model.train_on_batch(x, LABELS)
    model.fit(model.features.encode(x), LABELS, verbose=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="datasets of TensorFlow")
def test_raw_columns_in_a_dataset_are_to_be_encoded() -> None:
    import tensorflow as tf

    model = on_table("city", "age")
    data = tf.data.Dataset.from_tensor_slices((RAW, LABELS)).batch(4)
    with pytest.raises(ValueError, match=re.escape("`model.features.encode_tensors(")):
        model.fit(data, verbose=0)
    encoded = data.map(lambda x, y: (model.features.encode_tensors(x), y))
    model.fit(encoded, verbose=0)
