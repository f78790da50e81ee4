"""Names that TensorFlow or Keras would refuse at a step, or later, are refused when they come."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task, zoo

X, Y = np.ones((2, 3), "float32"), {"a": np.ones(2)}
tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its scopes")


def own(layer=None, model=None, features="x", output=None):
    x = keras.Input((3,), name=features)
    hidden = keras.layers.Dense(2, name=layer)(x)
    outputs = {"a": keras.layers.Dense(1, "sigmoid", name=output)(hidden)}
    return MultiTaskModel(inputs=x, outputs=outputs, tasks=["a"], name=model)


@tensorflow
@pytest.mark.parametrize("name", ["my model", "a:b", "ä", "-a", "_a", "a\n"])
def test_a_models_name_that_is_no_scope_is_refused(name):
    words = r"A model's name must start with .* Received: name="
    for make in (
        lambda: zoo.shared_bottom(3, ["a"], bottom_units=2, name=name),
        lambda: own(None, name),
    ):
        with pytest.raises(ValueError, match=words):
            make()


@tensorflow
@pytest.mark.parametrize("name", ["my layer", "a:b", "ä"])
def test_a_layers_name_that_is_no_scope_is_refused(name):
    with pytest.raises(ValueError, match=r"A layer's name must consist of .* Received: name="):
        own(name)
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid", name=name)])
    x = keras.Input((3,))
    with pytest.raises(ValueError, match=r"A layer's name must consist of"):
        MultiTaskModel(inputs=x, outputs={"a": inner(x)}, tasks=["a"])


@pytest.mark.parametrize(
    "names", [{"features": "my x"}, {"layer": "_a"}, {"model": "m.1-b"}, {"layer": "a.b>c"}]
)
def test_other_names_work_whichever_way_rows_come(names):
    model = own(**names)
    model.compile("sgd")
    model.fit(X, Y, verbose=0)
    model.train_on_batch(X, Y)
    model.test_on_batch(X, Y)
    assert model.predict(X, verbose=0)["a"].shape == (2, 1)


def test_columns_metrics_and_weights_may_have_blanks():
    x = {name: keras.Input((1,), name=name) for name in ("my age", "b")}
    output = keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()(list(x.values())))
    metric = keras.metrics.BinaryAccuracy(name="my hits")
    task = Task("a", weight_column="my weights", metrics=[metric])
    model = MultiTaskModel(inputs=x, outputs={"a": output}, tasks=[task])
    model.compile("sgd")
    rows = {name: np.ones((2, 1)) for name in x}
    y = {"a": np.ones(2), "my weights": np.ones(2), "not read": np.ones(2)}
    model.fit(rows, y, verbose=0)
    assert {*model.train_on_batch(rows, y, return_dict=True)} == {"loss", "a_loss", "a_my hits"}


def test_the_layer_that_bears_a_task_takes_a_name_that_is_free():
    model = own("a_output", output="a")
    assert model.get_layer("a_output_1").task == Task("a")
    model.compile("sgd")
    model.fit(X, Y, verbose=0)


def test_every_name_that_a_task_may_have_is_one_of_keras(tmp_path):
    names = [".", "..", "-".join("ab"), "0", "output_0", "name", "self", "inputs", "a" * 300]
    model = zoo.shared_bottom(3, names, bottom_units=2)
    model.compile("sgd")
    y = dict.fromkeys(names, np.ones(2))
    model.fit(X, y, verbose=0)
    model.train_on_batch(X, y)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for name, values in model.predict(X, verbose=0).items():
        np.testing.assert_array_equal(again.predict(X, verbose=0)[name], values)
