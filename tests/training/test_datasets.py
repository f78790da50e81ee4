import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from tests.training.free_logits import own_heads

ROWS = 20
RNG = np.random.default_rng(9)
TASKS = [Task("a", weight_column="w"), Task("topic", "multiclass", 3), Task("v", "regression")]
LOGITS = {task.name: RNG.normal(size=(ROWS, task.units)) for task in TASKS}
Y = {
    "a": RNG.integers(-1, 2, ROWS),
    "topic": RNG.integers(-1, 3, ROWS),
    "v": np.where(RNG.random(ROWS) < 0.3, np.nan, RNG.normal(size=ROWS)),
    "w": RNG.random(ROWS),
    "city": np.array(["Rome"] * ROWS),
}
WEIGHTS = {"topic": RNG.random(ROWS)}


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays, size=7):
        super().__init__()
        self._arrays, self._size = arrays, size

    def __len__(self):
        return -(-ROWS // self._size)

    def __getitem__(self, index):
        rows = slice(index * self._size, (index + 1) * self._size)
        return keras.tree.map_structure(lambda array: array[rows], self._arrays)


def as_generator(*arrays):
    batches = Batches(*arrays)
    for index in range(len(batches)):
        yield batches[index]


def as_tf_data(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(7)


def compiled(tasks=TASKS, logits=LOGITS, **kwargs):
    rows = own_heads(tasks, logits)
    rows.model.compile(keras.optimizers.SGD(0.0), **({"run_eagerly": True} | kwargs))
    return rows


@pytest.mark.parametrize("form", [as_tf_data, Batches, as_generator])
def test_every_form_of_data_gives_the_figures_of_arrays(form):
    rows = compiled()
    numbers = {name: column for name, column in Y.items() if name != "city"}
    y = Y if form is as_tf_data else numbers
    expected = rows.model.evaluate(
        rows.x, Y, sample_weight=WEIGHTS, batch_size=7, return_dict=True, verbose=0
    )
    found = rows.model.evaluate(form(rows.x, y, WEIGHTS), return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-6)
    valid = form(rows.x, y, WEIGHTS) if form is not as_generator else (rows.x, Y, WEIGHTS)
    logs = rows.model.fit(form(rows.x, y, WEIGHTS), validation_data=valid, verbose=0).history
    for name, value in expected.items():
        assert logs[name] == pytest.approx([value], rel=1e-6)
        assert logs[f"val_{name}"] == pytest.approx([value], rel=1e-6)


def test_plain_labels_of_one_task_in_a_dataset():
    rows = compiled(["b"], {"b": LOGITS["a"]})
    expected = rows.model.evaluate(rows.x, Y["a"], return_dict=True, verbose=0)
    found = rows.model.evaluate(as_tf_data(rows.x, Y["a"]), return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-6)
    weights = RNG.random(ROWS)
    expected = rows.model.evaluate(
        rows.x, Y["a"], sample_weight=weights, return_dict=True, verbose=0
    )
    data = as_tf_data(rows.x, Y["a"], weights)
    found = rows.model.evaluate(data, return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("error:The structure of")
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_a_dict_of_the_one_input_is_unwrapped(run_eagerly):
    rows = compiled(["b"], {"b": LOGITS["a"]}, run_eagerly=run_eagerly)
    plain = rows.model.predict(rows.x, verbose=0)["b"]
    named = {"rows": rows.x}
    np.testing.assert_array_equal(rows.model.predict(named, verbose=0)["b"], plain)
    np.testing.assert_array_equal(rows.model(named)["b"], plain)
    data = tf.data.Dataset.from_tensor_slices(named).batch(7)
    assert rows.model.predict(data, verbose=0)["b"] == pytest.approx(plain, rel=1e-6)
    labels = Y["a"]
    expected = rows.model.fit(rows.x, labels, verbose=0).history
    assert rows.model.fit(named, labels, verbose=0).history == expected
    logs = rows.model.fit(as_tf_data(named, labels), verbose=0).history
    assert logs["b_loss"] == pytest.approx(expected["b_loss"], rel=1e-6)


@pytest.mark.parametrize("batch", [3, 7, 20])
def test_predictions_of_several_batches_keep_their_rows(batch):
    rows = compiled()
    predictions = rows.model.predict(rows.x, batch_size=batch, verbose=0)
    assert predictions["v"] == pytest.approx(LOGITS["v"], rel=1e-5)
    order = 1 / (1 + np.exp(-LOGITS["a"]))
    assert predictions["a"] == pytest.approx(order, rel=1e-5)


def with_outside(task, value):
    y = {name: Y[name] for name in ("a", "topic", "v", "w")}
    column = y[task].astype("float32" if task == "v" else "int32")
    column[2] = value
    return y | {task: column}


@pytest.mark.parametrize(("task", "value"), [("a", 2), ("topic", 3), ("v", np.inf)])
def test_labels_outside_in_a_dataset_are_told_after_the_first_batch(task, value):
    rows = compiled(run_eagerly=False, steps_per_execution=1)
    batches = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: batches.append(b))
    data = as_tf_data(rows.x, with_outside(task, value))
    with pytest.raises(ValueError, match=rf"(?s)Labels of task '{task}'.*{value}"):
        rows.model.fit(data, callbacks=[count], verbose=0)
    assert batches == [0]
    with pytest.raises(ValueError, match=rf"(?s)Labels of task '{task}'.*{value}"):
        rows.model.evaluate(data, verbose=0)


def test_labels_outside_in_a_later_batch_are_told_after_the_epoch():
    rows = compiled()
    y = {name: Y[name] for name in ("a", "topic", "v", "w")}
    y["a"] = np.where(np.arange(ROWS) == 18, 5, y["a"])
    match = r"(?s)Labels of task 'a'.*5"
    with pytest.raises(ValueError, match=match):
        rows.model.fit(as_tf_data(rows.x, y), verbose=0)
    with pytest.raises(ValueError, match=match):
        rows.model.fit(as_tf_data(rows.x, y), validation_data=(rows.x, Y), verbose=0)
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, Y, validation_data=as_tf_data(rows.x, y), verbose=0)


def test_labels_outside_are_told_when_compiled_by_xla():
    logits, labels = LOGITS["topic"], np.where(np.arange(ROWS) == 18, 7, Y["topic"])
    rows = compiled(
        [Task("topic", "multiclass", 3)], {"topic": logits}, run_eagerly=False, jit_compile=True
    )
    data = tf.data.Dataset.from_tensor_slices((rows.x, labels)).batch(10)
    with pytest.raises(ValueError, match=r"(?s)Labels of task 'topic'.*7"):
        rows.model.fit(data, verbose=0)
    assert all(np.isfinite(v).all() for v in rows.model.get_weights())


def test_labels_outside_in_arrays_leave_the_weights_alone():
    rows = own_heads(["a"], {"a": LOGITS["a"]})
    rows.model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    before = rows.model.get_weights()
    labels = np.where(np.arange(ROWS) == 18, 2, Y["a"])
    match = r"Labels of task 'a' must be in \[0, 1\] or marked missing. Received: 2 in 1 of 20"
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, labels, batch_size=4, verbose=0)
    with pytest.raises(ValueError, match=match):
        rows.model.fit(rows.x, Y["a"], validation_data=(rows.x, labels), verbose=0)
    with pytest.raises(ValueError, match=match):
        rows.model.evaluate(rows.x, labels, verbose=0)
    for value, unchanged in zip(rows.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, unchanged)
