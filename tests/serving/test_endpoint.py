"""An export as a layer of Keras, and as a function in Python: inputs by their own names."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, Task, zoo
from keras_mtl.features import TabularFeatures
from tests.serving.served import raw_columns


def sent(served: Any, columns: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    """Columns in the dtypes that the endpoint says, as in the tutorial."""
    (kinds,), _ = served.concrete_functions[0].structured_input_signature
    return {name: tf.constant(columns[name], spec.dtype) for name, spec in kinds.items()}


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    return raw_columns(5, 1)


@pytest.fixture(scope="module")
def expected(exported: Any, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return exported.model.predict(exported.table.encode(columns), verbose=0)


def test_a_layer_of_keras_takes_many_columns(
    exported: Any, columns: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> None:
    layer = keras.layers.TFSMLayer(str(exported.path), call_endpoint="serve")
    given = sent(tf.saved_model.load(str(exported.path)).serve, columns)
    answers = layer(given)
    for name, values in expected.items():
        np.testing.assert_allclose(answers[name], values, rtol=1e-4, atol=1e-5)


def test_columns_of_any_name_are_called_by_it(
    exported: Any, columns: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> None:
    """By the recipe of the tutorial, and as arguments of a signature."""
    loaded = tf.saved_model.load(str(exported.path))
    given = sent(loaded.serve, columns)
    assert given.keys() == columns.keys()
    for answers in (loaded.serve(given), loaded.signatures["serving_default"](**given)):
        for name, values in expected.items():
            np.testing.assert_allclose(answers[name], values, rtol=1e-4, atol=1e-5)
    alone = loaded.signatures["stars"](**given)
    np.testing.assert_allclose(alone["stars"], expected["stars"], rtol=1e-4, atol=1e-5)


def plain(form: str) -> MultiTaskModel:
    """Sums of its inputs, of one or two."""
    inputs = [keras.Input((1,), name=name) for name in ("first-one", "second one")]
    inputs = inputs[:1] if form in ("tensor", "list of one") else inputs
    total = keras.ops.sum(keras.ops.concatenate(inputs, axis=1), axis=1, keepdims=True)
    by_name = {tensor.name: tensor for tensor in inputs}
    given = {"tensor": inputs[0], "dict": by_name}.get(form, inputs)
    return MultiTaskModel(inputs=given, outputs={"a": total}, tasks=[Task("a", "regression")])


@pytest.mark.parametrize("form", ["tensor", "list of one", "list", "dict"])
def test_a_model_without_a_table_takes_what_it_takes_in_keras(form: str, tmp_path: Path) -> None:
    model = plain(form)
    model.export(tmp_path / "1", verbose=False)
    layer = keras.layers.TFSMLayer(str(tmp_path / "1"), call_endpoint="serve")
    columns = [np.full((2, 1), value, "float32") for value in (3, 4)]
    flat = keras.tree.flatten(model.input)
    by_name = {tensor.name: columns[place] for place, tensor in enumerate(flat)}
    own = {"tensor": columns[0], "dict": by_name}.get(form, columns[: len(flat)])
    for given in (by_name, own):
        tensors = keras.tree.map_structure(tf.constant, given)
        np.testing.assert_array_equal(layer(tensors)["a"], sum(columns[: len(flat)]))
    larger = keras.Model(model.input, layer(model.input))
    np.testing.assert_array_equal(larger(own)["a"], sum(columns[: len(flat)]))


def test_the_endpoint_calls_the_signature(exported: Any) -> None:
    """The model's graph is stored once."""
    loaded = tf.saved_model.load(str(exported.path))
    products = [
        operation
        for operation in loaded.serve.concrete_functions[0].graph.get_operations()
        if operation.type in ("MatMul", "BatchMatMulV2", "LookupTableFindV2", "ReadVariableOp")
    ]
    assert not products


def test_no_name_makes_tensorflow_warn(
    exported: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exported.model.export(tmp_path / "1", verbose=False)
    tf.saved_model.load(str(tmp_path / "1"))
    assert not [record.message for record in caplog.records if "Sanitizing" in record.message]


def test_columns_that_float32_does_not_resolve_need_a_layer_in_float64(tmp_path: Path) -> None:
    times = 1_700_000_000.0 + 10 * np.arange(20)
    table = TabularFeatures(numeric=["time"]).adapt({"time": times})
    model = zoo.shared_bottom(table, ["click"], bottom_units=4, tower_units=2, seed=0)
    model.export(tmp_path / "1", verbose=False)
    right = model.predict(table.encode({"time": times}), verbose=0)["click"]
    arguments = {"filepath": str(tmp_path / "1"), "call_endpoint": "serve"}
    layer = keras.layers.TFSMLayer(**arguments, dtype="float64")
    np.testing.assert_allclose(layer({"time": tf.constant(times)})["click"], right, atol=1e-6)
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        keras.layers.TFSMLayer(**arguments)({"time": tf.constant(times)})
