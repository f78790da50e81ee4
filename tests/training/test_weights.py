import keras
import numpy as np
import pytest

from keras_mtl import Task
from tests.reference.losses import task_loss
from tests.training.free_logits import own_heads, stacked_heads

ROWS = 10
RNG = np.random.default_rng(7)
LOGITS = {name: RNG.normal(size=(ROWS, 1)) for name in "abc"}
LABELS = {name: RNG.integers(-1, 2, (ROWS, 1)) for name in "abc"}
WEIGHTS = {name: RNG.gamma(1.0, 1.0, (ROWS, 1)) for name in "abc"}
CLOSE = {"rel": 1e-5, "abs": 1e-7}


def expected(name, weights=1.0):
    return task_loss("binary", LABELS[name], LOGITS[name], LABELS[name] >= 0, weights)[0]


def flat(columns):
    return {name: column[:, 0] for name, column in columns.items()}


@pytest.mark.parametrize("heads", [own_heads, stacked_heads])
def test_sample_weights_for_all_or_some_tasks(heads):
    rows = heads(list("abc"), LOGITS)
    one, _ = rows.step(LABELS, {"sample_weight": WEIGHTS["a"][:, 0]})
    some, _ = rows.step(LABELS, {"sample_weight": {"b": WEIGHTS["b"][:, 0]}})
    for name in "abc":
        assert one[f"{name}_loss"] == pytest.approx(expected(name, WEIGHTS["a"]), **CLOSE)
        weights = WEIGHTS["b"] if name == "b" else 1.0
        assert some[f"{name}_loss"] == pytest.approx(expected(name, weights), **CLOSE)


def test_threefold_weights_make_a_threefold_loss():
    rows = own_heads(["a"], {"a": LOGITS["a"]})
    logs, _ = rows.step({"a": LABELS["a"]}, {"sample_weight": np.full(ROWS, 3.0)})
    assert logs["a_loss"] == pytest.approx(3 * expected("a"), **CLOSE)


def test_sample_weights_of_validation_data_for_some_tasks():
    rows = own_heads(list("abc"), LOGITS)
    weights = flat({"c": WEIGHTS["c"]})
    rows.model.compile("sgd", run_eagerly=True)
    start = rows.model.get_weights()
    history = rows.model.fit(
        rows.x, LABELS, validation_data=(rows.x, LABELS, weights), verbose=0
    ).history
    rows.model.set_weights(start)
    found = rows.model.evaluate(rows.x, LABELS, sample_weight=weights, return_dict=True, verbose=0)
    assert set(found) == {name.removeprefix("val_") for name in history if name.startswith("val_")}
    for name in "abc":
        weight = WEIGHTS["c"] if name == "c" else 1.0
        assert found[f"{name}_loss"] == pytest.approx(expected(name, weight), **CLOSE)


def test_weight_columns_are_read_from_the_labels_and_multiply():
    extra = flat({"w": WEIGHTS["a"], "v": WEIGHTS["b"]})
    tasks = [Task("a", weight_column="w"), Task("b", weight_column=["w", "v"]), Task("c")]
    logs, _ = own_heads(tasks, LOGITS).step(
        LABELS | extra, {"sample_weight": {"a": WEIGHTS["c"][:, 0]}}
    )
    assert logs["a_loss"] == pytest.approx(expected("a", WEIGHTS["a"] * WEIGHTS["c"]), **CLOSE)
    assert logs["b_loss"] == pytest.approx(expected("b", WEIGHTS["a"] * WEIGHTS["b"]), **CLOSE)
    assert logs["c_loss"] == pytest.approx(expected("c"), **CLOSE)


def test_weights_of_pixels():
    logits, labels = RNG.normal(size=(3, 2, 2, 1)), RNG.integers(-1, 2, (3, 2, 2, 1))
    weights = RNG.random((3, 2, 2))
    logs, _ = own_heads(["a"], {"a": logits}).step({"a": labels}, {"sample_weight": {"a": weights}})
    loss, _ = task_loss("binary", labels, logits, labels >= 0, weights[..., None])
    assert logs["a_loss"] == pytest.approx(loss, **CLOSE)


def of_class(labels, weights):
    return np.vectorize(lambda label: weights.get(label, 1.0))(labels)


@pytest.mark.parametrize("heads", [own_heads, stacked_heads])
def test_class_weights_of_tasks_and_of_fit(heads):
    tasks = [Task("a", class_weight={1: 4.0}), Task("b", class_weight={0: 2.0, 1: 3.0}), Task("c")]
    rows = heads(tasks, LOGITS)
    from_tasks, _ = rows.step(LABELS)
    overridden, _ = rows.step(LABELS, {"class_weight": {"b": {1: 7.0}, "c": {0: 0.5}}})
    again, _ = rows.step(LABELS)
    assert again == from_tasks
    first = {"a": {1: 4.0}, "b": {0: 2.0, 1: 3.0}, "c": {}}
    second = {"a": {1: 4.0}, "b": {1: 7.0}, "c": {0: 0.5}}
    for logs, weights in ((from_tasks, first), (overridden, second)):
        for name in "abc":
            factors = of_class(LABELS[name], weights[name])
            assert logs[f"{name}_loss"] == pytest.approx(expected(name, factors), **CLOSE)


def test_class_weights_of_classes_and_a_plain_dict_for_one_task():
    logits, labels = RNG.normal(size=(ROWS, 3)), RNG.integers(-1, 3, (ROWS, 1))
    weights = {0: 2.0, 2: 0.25}
    loss, gradient = task_loss("multiclass", labels, logits, labels >= 0, of_class(labels, weights))
    for task, fit in (
        (Task("a", "multiclass", 3, class_weight=weights), {}),
        (Task("a", "multiclass", 3), {"class_weight": weights}),
        (Task("a", "multiclass", 3), {"class_weight": {"a": weights}}),
    ):
        logs, gradients = own_heads([task], {"a": logits}).step({"a": labels}, fit)
        assert logs["a_loss"] == pytest.approx(loss, **CLOSE)
        np.testing.assert_allclose(gradients["a"], gradient, rtol=1e-4, atol=1e-7)


def test_class_weights_meet_own_losses_and_sample_weights():
    rows = own_heads([Task("a", class_weight={1: 4.0})], {"a": LOGITS["a"]})
    logs, _ = rows.step(
        {"a": LABELS["a"]},
        {"sample_weight": WEIGHTS["a"][:, 0]},
        loss="binary_crossentropy",
    )
    factors = of_class(LABELS["a"], {1: 4.0}) * WEIGHTS["a"]
    assert logs["a_loss"] == pytest.approx(expected("a", factors), **CLOSE)


def test_class_weights_of_fit_end_with_it():
    rows = own_heads(["a"], {"a": np.zeros((4, 1))})
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    y = np.array([0, 1, 1, 0])
    trained = rows.model.fit(
        rows.x, y, class_weight={1: 10.0}, validation_data=(rows.x, y), verbose=0
    )
    found = rows.model.evaluate(rows.x, y, return_dict=True, verbose=0)
    assert trained.history["val_a_loss"][0] == pytest.approx(5.5 * np.log(2))
    assert found["a_loss"] == pytest.approx(np.log(2))


def test_each_value_of_class_weights_compiles_once():
    rows = own_heads(["a"], {"a": np.zeros((4, 1))})
    rows.model.compile(keras.optimizers.SGD(0.0))
    traced, step = [], rows.model.train_step
    rows.model.train_step = lambda *args: traced.append(1) or step(*args)
    y = np.array([0, 1, 1, 0])
    losses = [
        rows.model.fit(rows.x, y, class_weight=weights, verbose=0).history["a_loss"][0]
        for weights in 2 * [{1: 10.0}, None, {1: np.float32(3.0)}]
    ]
    assert losses == pytest.approx(2 * [5.5 * np.log(2), np.log(2), 2 * np.log(2)])
    assert len(traced) == 3
    rows.model.compile(keras.optimizers.SGD(0.0), loss="mse")
    again = rows.model.fit(rows.x, y, class_weight={1: 10.0}, verbose=0)
    assert again.history["a_loss"] == pytest.approx([5.5 / 4])
