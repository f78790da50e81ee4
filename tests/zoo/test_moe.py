"""`zoo.moe`: options reach trunk and towers, what it equals, what it refuses, what it serves."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, features, zoo
from tests.reference.experts import expert, softmax
from tests.reference.moe import network
from tests.zoo.small import binary_labels, predictions, rows, train, values

TASKS = ["a", "b"]


def build(tasks=TASKS, inputs=5, **arguments):
    sizes = {"num_experts": 3, "expert_units": (6,), "tower_units": 4, "seed": 1}
    return zoo.moe(inputs, tasks, **{**sizes, **arguments})


def shake(model):
    """Random values for every weight, the gate's zeros and the biases too."""
    generator = np.random.default_rng(3)
    for weight in model.trainable_variables:
        weight.assign(generator.normal(size=tuple(weight.shape)))
    return model


def trunk(model):
    return keras.Model(model.input, model.get_layer("moe").output)


# --- what it computes ---


def test_with_all_experts_it_is_a_softmax_mixture_under_towers():
    model = shake(build(top_k=3, expert_units=(4, 6)))
    weights = {path: value.astype("float64") for path, value in values(model).items()}
    kernels = [weights[f"moe/experts/kernel_{number}"] for number in (0, 1)]
    biases = [weights[f"moe/experts/bias_{number}"] for number in (0, 1)]
    x, found = rows(), predictions(model, rows())
    for row in range(len(x)):
        gates = softmax(x[row] @ weights["moe/gate/kernel"])
        outputs = [
            expert(x[row], [(k[e], b[e]) for k, b in zip(kernels, biases, strict=True)])
            for e in range(3)
        ]
        mixture = gates @ np.stack(outputs)
        for slot, task in enumerate(TASKS):
            parts = [
                (weights[f"{name}/kernel"][slot], weights[f"{name}/bias"][slot])
                for name in ("towers/dense_0", "logits")
            ]
            expected = 1 / (1 + np.exp(-network(mixture, parts)))
            np.testing.assert_allclose(found[task][row], expected, atol=1e-5)


def test_with_fewer_experts_than_all_it_is_another_one():
    full, sparse = shake(build(top_k=3)), shake(build(top_k=2))
    assert not np.allclose(predictions(full, rows())["a"], predictions(sparse, rows())["a"])


def test_capacity_drops_rows():
    x = rows()
    dropped = []
    for factor in (None, 0.5):
        model = build(capacity_factor=factor)
        history = train(model, x, binary_labels(x)).history
        dropped.append(history["moe/moe/dropped"][0])
        assert sum(history[f"moe/moe/load_{e}"][0] for e in range(3)) == pytest.approx(1)
    assert dropped[0] == 0
    assert dropped[1] == pytest.approx(0.5)  # of 24 choices 3 experts take 4 each


def test_both_losses_reach_training_with_their_weights():
    model = shake(build(noisy=False, importance_loss=0.3, load_loss=0.2))
    x = rows()
    logs = {name: value[0] for name, value in train(model, x, binary_labels(x)).history.items()}
    losses = [logs[f"moe/moe/{name}_loss"] for name in ("importance", "load")]
    assert min(losses) > 0.01
    added = logs["loss"] - logs["a_loss"] - logs["b_loss"]
    assert added == pytest.approx(0.3 * losses[0] + 0.2 * losses[1], rel=1e-4)


def test_noise_only_where_it_is_asked_for_and_only_in_training():
    x = rows()
    for noisy in (True, False):
        model = build(noisy=noisy)
        first, second = (trunk(model)(x, training=True) for _ in range(2))
        assert np.allclose(first, second) != noisy
        np.testing.assert_array_equal(predictions(model, x)["a"], predictions(model, x)["a"])


# --- options ---


def test_dropout_drops_in_experts_after_them_and_in_towers():
    x, quiet = rows(), {"noisy": False, "expert_units": (6, 6)}
    model = build(dropout=0.5, **quiet)
    experts = trunk(model)
    assert not np.allclose(experts(x, training=True), experts(x, training=True))
    after = model.get_layer("dropout")
    assert (np.asarray(after(np.ones((9, 9)), training=True)) == 0).any()
    assert model.get_layer("towers").dropout == after.rate == 0.5
    np.testing.assert_allclose(
        predictions(model, x)["a"], predictions(build(**quiet), x)["a"], atol=1e-6
    )


def test_the_activation_reaches_trunk_and_towers():
    """Gates are equal and biases zero at first, so what is linear is odd."""
    x = rows()
    for activation in ("linear", "relu"):
        model = build(activation=activation, top_k=3, expert_units=(6, 6))
        for part, inputs in ((trunk(model), x), (model.get_layer("towers"), rows(width=6))):
            odd = np.allclose(part(-inputs), -np.asarray(part(inputs)), atol=1e-5)
            assert odd == (activation == "linear")


def test_normalization_is_that_of_the_towers():
    paths = [path for path in values(build(normalization="batch")) if "normalization" in path]
    assert paths
    assert all(path.startswith("towers/") for path in paths)


def test_the_regularizer_of_every_kernel_but_the_gates_reaches_the_loss():
    model = shake(build(kernel_regularizer=keras.regularizers.L2(0.01), expert_units=(4, 6)))
    kernels = [
        value for path, value in values(model).items() if "kernel" in path and "gate" not in path
    ]
    assert len(kernels) == 4  # two of the experts, towers, logits
    model.compile("sgd", metrics=[], run_eagerly=True)
    x = rows()
    logs = model.evaluate(x, binary_labels(x), verbose=0, return_dict=True)
    penalty = 0.01 * sum(np.square(kernel).sum() for kernel in kernels)
    assert logs["loss"] - logs["a_loss"] - logs["b_loss"] == pytest.approx(penalty, rel=1e-4)


def test_the_seed_decides_weights_noise_and_dropout():
    x = rows()
    made = [build(seed=seed, dropout=0.3) for seed in (1, 1, 2)]
    first, again, other = (values(model) for model in made)
    for path in first:
        np.testing.assert_array_equal(first[path], again[path], err_msg=path)
    differing = [path for path in first if not np.array_equal(first[path], other[path])]
    assert {path.split("/")[0] for path in differing} >= {"moe", "towers", "logits"}
    for _ in range(2):
        drawn = [predictions(model, x, training=True)["b"] for model in made]
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert not np.allclose(drawn[0], drawn[2])


def test_the_order_of_tasks_changes_nothing():
    x = rows()
    outputs = [predictions(build(tasks), x) for tasks in (["a", "b"], ["b", "a"])]
    assert list(outputs[1]) == ["b", "a"]
    for task in TASKS:
        np.testing.assert_array_equal(outputs[0][task], outputs[1][task])


def test_towers_by_task_and_a_head_of_ones_own():
    head = keras.layers.Dense(1, "sigmoid", name="own")
    model = build(["a", "b", "c"], tower_units={"a": (), "b": 4, "c": (3, 2)}, heads={"b": head})
    sizes = {}
    for task, output in model.output.items():
        sizes[task] = keras.Model(model.input, output).count_params()
    shared = trunk(model).count_params()
    assert sizes["a"] == sizes["b"] == shared + 7
    assert sizes["c"] == shared + (7 * 3) + (4 * 2) + 3
    np.testing.assert_allclose(
        predictions(model, rows())["b"], head(trunk(model)(rows())), atol=1e-6
    )


def test_one_task_learns():
    model = build("only")
    x = rows(64)
    history = train(model, x, (x[:, 0] > 0).astype(int), steps=4, metrics=None).history
    assert history["only_loss"][-1] < history["only_loss"][0]
    assert "moe/moe/entropy" in history


# --- what it refuses ---


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"num_experts": 0}, "num_experts"),
        ({"num_experts": 2.5}, "num_experts"),
        ({"expert_units": (4, 0)}, "expert_units"),
        ({"expert_units": ()}, "expert_units"),
        ({"top_k": 1}, "top_k"),
        ({"top_k": 4}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"capacity_factor": 0}, "capacity_factor"),
        ({"capacity_factor": -1.0}, "capacity_factor"),
        ({"noisy": "yes"}, "noisy"),
        ({"importance_loss": float("nan")}, "importance_loss"),
        ({"load_loss": "much"}, "load_loss"),
        ({"tower_units": {"a": 4, "b": -1}}, "tower_units"),
        ({"activation": "rleu"}, "activation"),
        ({"normalization": "group"}, "normalization"),
        ({"normalization": "group", "tower_units": ()}, "normalization"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": "half"}, "dropout"),
        ({"kernel_regularizer": "l3"}, "kernel_regularizer"),
        ({"seed": 1.5}, "seed"),
        ({"inputs": 0}, "inputs"),
    ],
)
def test_refusals_name_the_argument_that_the_user_gave(arguments, named):
    with pytest.raises(ValueError, match=rf"`{named}` must .*Received: .*{named}="):
        build(**arguments)


# --- tables ---


@pytest.fixture(scope="module")
def raw():
    generator = np.random.default_rng(0)
    city = generator.choice(["Rome", "Oslo", "Lima"], 24).astype(object)
    return {"city": city, "age": generator.normal(size=24)}


@pytest.fixture(scope="module")
def trained(raw):
    """A model on a table, with capacities, noise and dropout, and what it predicts."""
    table = features.TabularFeatures(categorical=["city"], numeric=["age"], embedding_dim=3)
    tasks = [Task("warm"), Task("topic", "multiclass", units=3)]
    model = build(tasks, table.adapt(raw), capacity_factor=1.0, dropout=0.1)
    model.compile(keras.optimizers.Adam(0.05))
    packed = table.encode(raw)
    labels = {"warm": (raw["city"] == "Lima").astype(int), "topic": np.arange(24) % 3}
    model.fit(packed, labels, batch_size=12, epochs=3, verbose=0)
    return model, model.predict(packed, verbose=0)


def test_a_model_on_a_table_owns_it(trained, raw):
    model, predicted = trained
    outputs = predictions(model, model.features.encode(raw))
    for task, expected in predicted.items():
        np.testing.assert_allclose(outputs[task], expected, atol=1e-6)


@pytest.mark.slow
def test_the_export_serves_raw_columns(trained, raw, tmp_path):
    import tensorflow as tf

    model, predicted = trained
    model.export(tmp_path / "served", verbose=False)
    serve = tf.saved_model.load(tmp_path / "served").signatures["serving_default"]
    columns = {"city": tf.constant(raw["city"].tolist()), "age": tf.constant(raw["age"], "float32")}
    for _ in range(2):  # without noise: the same twice
        for task, served in serve(**columns).items():
            np.testing.assert_allclose(served, predicted[task], atol=1e-5, err_msg=task)
