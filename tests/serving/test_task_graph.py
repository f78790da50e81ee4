"""Parts of a graph give the numbers of the whole, whatever stands in it."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import MultiTaskModel, Task, zoo
from keras_mtl.layers import MMoE, TaskDense
from keras_mtl.serving.task_graph import TaskGraph

TASKS = ["a", "b", Task("c", "multiclass", units=3), Task("d", given="a")]
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(autouse=True)
def _without_rounding() -> None:
    """Products of parts round otherwise, and normalisation magnifies it; heads stay float32."""
    keras.config.set_dtype_policy("float64")


def assert_parts_are_the_whole(model: keras.Model) -> None:
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(weight + keras.random.uniform(weight.shape, 0.0, 0.3))
    x = keras.random.normal([6, *(size or 7 for size in model.input.shape[1:])])
    expected = model.predict(x, verbose=0)
    for names in [*([name] for name in model.output), list(model.output)[:2]]:
        found = TaskGraph({name: model.output[name] for name in names})({id(model.input): x})
        for name in names:  # logits of some 100 have last digits of 1e-5
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", sorted({*zoo.list_models()} - {"switch_transformer"}))
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_every_constructor(name, normalization):
    towers = {"a": (4, 3), "b": 5, "c": (4, 3), "d": ()}
    heads = {"b": keras.layers.Dense(1, "sigmoid", name="b")}
    model = zoo.create(
        name, 5, TASKS, tower_units=towers, heads=heads, normalization=normalization, dropout=0.5
    )
    assert_parts_are_the_whole(model)


def test_a_transformer_of_tasks_on_sequences_and_on_tokens():
    tokens = keras.Input((4, 5), name="tokens")
    pooling = {name: "mean" if name in "ab" else None for name in NAMES}
    sizes = {"num_layers": 2, "num_heads": 2, "model_units": 4, "hidden_units": 6, "num_experts": 3}
    model = zoo.switch_transformer(tokens, TASKS, pooling=pooling, dropout=0.5, **sizes)
    assert_parts_are_the_whole(model)


def test_a_reloaded_model_and_a_copy(tmp_path):
    heads = {"b": keras.layers.Dense(1, "sigmoid", name="b")}
    model = zoo.ple(5, TASKS, task_experts={"a": 1, "b": 0, "c": 2, "d": 1}, heads=heads)
    model.save(tmp_path / "m.keras")
    assert_parts_are_the_whole(keras.saving.load_model(tmp_path / "m.keras"))
    assert_parts_are_the_whole(keras.models.clone_model(model))


def test_rows_of_tokens():
    assert_parts_are_the_whole(zoo.cgc(keras.Input((None, 4)), ["a", "b"], expert_units=3))


class Doubled(keras.layers.Layer):
    """Gives two tensors, differently while training."""

    def call(self, inputs, training=None):
        return {"twice": 2 * inputs, "same": 0 * inputs if training else inputs}


def test_a_graph_of_ones_own():
    x = keras.Input((5,))
    hidden = MMoE(4, 3, 6)(x)
    hidden = hidden + keras.layers.Dropout(0.5)(hidden)  # not a stack that is taken apart
    parts = Doubled()(hidden)
    other = ops.stack([parts["same"][..., 3, :], parts["twice"][:, 1]], axis=1)
    logits = TaskDense(2, 1, task_inputs=True)(ops.take(parts["twice"], np.array([2, -1]), axis=-2))
    outputs = {
        "a": ops.sigmoid(logits[..., -1, :]),
        "b": ops.sigmoid(TaskDense(2, 1, task_inputs=True)(other)[..., 1, :]),
        "c": keras.layers.Dense(3, "softmax")(ops.mean(other, axis=-2)),
        "d": ops.sigmoid(ops.take(logits, 0, axis=-2)),
    }
    assert_parts_are_the_whole(MultiTaskModel(inputs=x, outputs=outputs, tasks=TASKS))


def test_a_stack_is_taken_apart_behind_another_reader_of_all_its_slots():
    x = keras.Input((5,))
    stack = TaskDense(3, 4)(x)
    outputs = {"a": keras.layers.Dense(1, "sigmoid")(stack[..., 0, :] + ops.max(stack, axis=-2))}
    assert_parts_are_the_whole(MultiTaskModel(inputs=x, outputs=outputs, tasks=["a"]))
