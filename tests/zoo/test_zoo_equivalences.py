"""Models that coincide, draws that go by seed and name, tasks that share nothing."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, features
from tests.zoo.small import TRUNKS, binary_labels, build, predictions, rows, train, values

CASES = list(TRUNKS)


def assert_same(left, right, atol=1e-6):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(left[name], right[name], atol=atol, err_msg=name)


def assert_same_training(left, right):
    """Equal predictions before and after, and equal logs on the way."""
    x = rows(24)
    assert_same(predictions(left, x), predictions(right, x))
    before = predictions(left, x)
    histories = [train(model, x, binary_labels(x), steps=3).history for model in (left, right)]
    assert_same(*histories, atol=1e-5)
    assert_same(predictions(left, x), predictions(right, x), atol=1e-5)
    assert not np.allclose(before["a"], predictions(left, x)["a"], atol=1e-2)


@pytest.mark.parametrize("one_gate", [False, True])
def test_mmoe_with_one_expert_is_a_shared_bottom(one_gate):
    mmoe = build("mmoe", 5, ["a", "b"], num_experts=1, one_gate=one_gate)
    shared = build("shared_bottom", 5, ["a", "b"], seed=2)
    shared.get_layer("bottom").set_weights(mmoe.get_layer("mmoe").experts.get_weights())
    for name in ("towers", "logits"):
        shared.get_layer(name).set_weights(mmoe.get_layer(name).get_weights())
    assert_same_training(mmoe, shared)


def test_ple_with_one_level_is_cgc():
    experts = {"shared_experts": 2, "task_experts": {"a": 1, "b": 3}}
    ple = build("ple", 5, ["a", "b"], levels=1, **experts)
    cgc = build("cgc", 5, ["a", "b"], seed=2, **experts)
    cgc.get_layer("cgc").set_weights(ple.get_layer("ple").get_weights())
    for name in ("towers", "logits"):
        cgc.get_layer(name).set_weights(ple.get_layer(name).get_weights())
    assert_same_training(ple, cgc)


def test_cgc_without_own_experts_is_mmoe():
    cgc = build("cgc", 5, ["a", "b"], shared_experts=3, task_experts=0)
    mmoe = build("mmoe", 5, ["a", "b"], num_experts=3, seed=2)
    mmoe.set_weights(cgc.get_weights())
    assert_same_training(cgc, mmoe)


def test_one_gate_gives_every_task_one_mixture():
    one, many = (build(case, 5, ["a", "b"]) for case in ("one_gate", "mmoe"))
    slots = [
        keras.ops.convert_to_numpy(keras.Model(m.input, m.get_layer("mmoe").output)(rows()))
        for m in (one, many)
    ]
    np.testing.assert_array_equal(slots[0][:, 0], slots[0][:, 1])
    assert not np.allclose(slots[1][:, 0], slots[1][:, 1])
    assert many.count_params() - one.count_params() == 5 * 3  # one linear gate less


@pytest.mark.parametrize("case", CASES)
def test_a_seed_decides_all_weights(case):
    keras.utils.set_random_seed(1)
    first = values(build(case, 5, ["a", "b"]))
    keras.utils.set_random_seed(2)
    again, other = values(build(case, 5, ["a", "b"])), values(build(case, 5, ["a", "b"], seed=9))
    assert first.keys() == again.keys() == other.keys()
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        if path.endswith("kernel"):
            assert not np.allclose(value, other[path]), path
    kernels = [value for path, value in first.items() if path.endswith("kernel")]
    slices = [kernel[slot] for kernel in kernels for slot in range(len(kernel))]
    for index, one in enumerate(slices):
        assert not any(
            one.shape == two.shape and np.allclose(one, two) for two in slices[index + 1 :]
        ), "no two experts, towers or heads start alike"


def test_without_a_seed_draws_differ():
    first, second = (values(build("ple", 5, ["a", "b"], seed=None)) for _ in range(2))
    kernel = "ple/level_0/experts/dense_0/kernel"
    assert not np.allclose(first[kernel], second[kernel])


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_tasks_changes_nothing(case):
    tasks = [Task("b", weight=2.0), Task("ab", "regression"), "a", Task("B", class_weight={1: 3})]
    options = {"tower_units": {"a": 3, "ab": 4, "b": 4, "B": 3}}
    x = rows(24)
    labels = binary_labels(x, ["a", "b", "B"]) | {"ab": x[:, 3]}
    histories, outputs, weights = [], [], []
    for order in (tasks, [tasks[2], tasks[0], tasks[3], tasks[1]]):
        model = build(case, 5, order, **options)
        histories.append(train(model, x, labels, steps=2, metrics=None).history)
        outputs.append(predictions(model, x))
        weights.append(values(model))
    assert_same(*histories, atol=0)
    assert_same(*outputs, atol=0)
    assert_same(*weights, atol=0)


def city_table():
    generator = np.random.default_rng(0)
    columns = {
        "city": generator.choice(["Rome", "Oslo", "Bern"], 24),
        "age": generator.normal(size=24),
    }
    table = features.TabularFeatures(categorical=["city"], numeric=["age"], embedding_dim=3)
    table.adapt(columns)
    packed = table.encode(columns)
    labels = {
        "a": (columns["city"] == "Rome").astype("int32"),
        "b": (columns["age"] > 0).astype("int32"),
    }
    return table, packed, labels


@pytest.mark.filterwarnings("ignore:No labels of task:UserWarning")
def test_single_task_shares_nothing_not_even_embeddings():
    table, packed, labels = city_table()
    unknown = np.full(24, -1)
    model = build("single_task", table, ["a", "b"])
    before, untrained = values(model), predictions(model, packed)
    train(model, packed, {**labels, "b": unknown}, steps=2)
    np.testing.assert_array_equal(predictions(model, packed)["b"], untrained["b"])
    assert not np.allclose(predictions(model, packed)["a"], untrained["a"])
    for path, value in values(model).items():
        moved = np.abs(value - before[path])
        if path.startswith("embeddings_"):
            assert (moved.max() > 0) == path.startswith("embeddings_a"), path
        else:
            assert moved[1].max() == 0 < moved[0].max(), path


@pytest.mark.filterwarnings("ignore:No labels of task:UserWarning")
@pytest.mark.parametrize("on_table", [False, True])
def test_single_task_trains_as_if_alone(on_table):
    table, packed, labels = city_table()
    if not on_table:
        packed, table = rows(24), 5
        labels = binary_labels(packed)
    models = [build("single_task", table, ["a", "b"]) for _ in range(2)]
    train(models[0], packed, labels, steps=2)
    train(models[1], packed, {**labels, "b": np.full(24, -1)}, steps=2)
    alone = [predictions(model, packed)["a"] for model in models]
    np.testing.assert_allclose(alone[0], alone[1], atol=1e-6)


@pytest.mark.filterwarnings("ignore:No labels of task:UserWarning")
@pytest.mark.parametrize("case", [case for case in CASES if case != "single_task"])
def test_all_others_share(case):
    """The contrast to `single_task`: a task's labels move the other task's prediction."""
    x = rows(24)
    model = build(case, 5, ["a", "b"])
    untrained = predictions(model, x)
    train(model, x, {**binary_labels(x), "b": np.full(24, -1)}, steps=2)
    assert not np.allclose(predictions(model, x)["b"], untrained["b"], atol=1e-4)
