"""Towers, heads, experts and the options of every feed-forward part."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from keras_mtl import Task, zoo
from tests.zoo.small import TRUNKS, binary_labels, build, predictions, rows, train, values

CASES = list(TRUNKS)
EXPERT_CASES = ["mmoe", "one_gate", "cgc", "ple"]


def part(model, task):
    """The model of one task: the layers that its prediction needs."""
    return keras.Model(model.input, model.output[task])


def dense_size(*widths):
    return sum((before + 1) * after for before, after in pairwise(widths))


def test_towers_by_task():
    towers = {"c": (3, 2), "a": 4, "b": ()}
    model = build("shared_bottom", 5, ["b", "c", "a"], tower_units=towers)
    trunk = dense_size(5, 6)
    assert part(model, "a").count_params() == trunk + dense_size(6, 4, 1)
    assert part(model, "b").count_params() == trunk + dense_size(6, 1)
    assert part(model, "c").count_params() == trunk + dense_size(6, 3, 2, 1)


@pytest.mark.parametrize("case", CASES)
def test_towers_of_unequal_widths_read_their_own_slot(case):
    """Towers that are not in one stack see what they see in one stack."""
    tasks = ["a", "b", "c"]
    equal = build(case, 5, tasks, tower_units=())
    unequal = build(case, 5, tasks, tower_units={"a": (), "b": 4, "c": ()})
    weights = values(equal)
    kernel, bias = (weights[f"logits/{name}"] for name in ("kernel", "bias"))
    for layer in unequal.layers:
        if layer.name.startswith("logits") and layer.num_tasks == 2:
            layer.set_weights([kernel[[0, 2]], bias[[0, 2]]])
    expected, found = predictions(equal, rows()), predictions(unequal, rows())
    for task in ("a", "c"):
        np.testing.assert_allclose(found[task], expected[task], atol=1e-6)


def test_kinds_and_widths_of_heads():
    tasks = [
        Task("z", "multiclass", units=3),
        Task("y", "regression", units=2),
        "x",
        Task("w", "multilabel", units=3),
    ]
    outputs = predictions(build("ple", 5, tasks), 100 * rows())
    shapes = {name: output.shape[1] for name, output in outputs.items()}
    assert shapes == {"z": 3, "y": 2, "x": 1, "w": 3}
    np.testing.assert_allclose(outputs["z"].sum(axis=1), 1.0, atol=1e-5)
    assert not np.allclose(outputs["w"].sum(axis=1), 1.0)
    assert np.abs(outputs["y"]).max() > 1.0


def test_experts_by_task_belong_to_their_task():
    model = build("cgc", 5, ["b", "a"], task_experts={"b": 3, "a": 1})
    x = rows()
    before = values(model)
    with pytest.warns(UserWarning, match="No labels of task 'b'"):
        train(model, x, {"a": binary_labels(x)["a"], "b": np.full(12, -1)})
    kernel = "cgc/experts/dense_0/kernel"
    moved = np.abs(values(model)[kernel] - before[kernel]).max(axis=(1, 2)) > 0
    # the one expert of `a` and the shared one at the end
    assert moved.tolist() == [True, False, False, False, True]


@pytest.mark.parametrize("argument", ["tower_units", "task_experts"])
def test_dicts_by_task_must_name_every_task(argument):
    with pytest.raises(ValueError, match=f"`{argument}` must give a value for every.*Missing: buy"):
        zoo.cgc(5, ["click", "buy"], **{argument: {"click": 1}})
    with pytest.raises(ValueError, match=f"`{argument}` must be keyed by task. Did you mean 'cli"):
        zoo.cgc(5, ["click", "buy"], **{argument: {"clik": 1, "buy": 1}})


@pytest.mark.parametrize("case", CASES)
def test_own_head_replaces_tower_and_head(case):
    head = keras.layers.Dense(1, "sigmoid", name="own")
    tasks = ["a", "b", "c"]
    model = build(case, 5, tasks, heads={"b": head})
    plain = build(case, 5, tasks, tower_units=())
    head.set_weights([values(plain)["logits/kernel"][1], values(plain)["logits/bias"][1]])
    outputs = predictions(model, rows())
    np.testing.assert_allclose(outputs["b"], predictions(plain, rows())["b"], atol=1e-6)
    assert model.get_layer("towers").num_experts == 2
    assert model.output_names == tasks


def test_own_head_is_trained_on_its_logits():
    """A confidently wrong row keeps its gradient, though the head hides its logits."""
    head = keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros", name="a")
    head.bias_initializer = keras.initializers.Constant(-60.0)
    model = build("shared_bottom", 5, ["a", "b"], heads={"a": head})
    history = train(model, rows(), {"a": np.ones(12), "b": np.ones(12)})
    assert history.history["a_loss"] == pytest.approx([60.0])
    assert float(head.bias[0]) == pytest.approx(-59.5)


def test_a_head_must_be_a_layer_of_a_task():
    with pytest.raises(ValueError, match=r"`heads` must be keyed by task. Did you mean 'click'"):
        zoo.ple(5, ["click", "buy"], heads={"clik": keras.layers.Dense(1)})
    with pytest.raises(ValueError, match=r"`heads` must hold layers.*Received: 'buy'"):
        zoo.ple(5, ["click", "buy"], heads={"buy": "sigmoid"})
    with pytest.raises(ValueError, match=r"`heads` must be a dict by task name"):
        zoo.ple(5, ["click", "buy"], heads=[keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"task 'buy' must have shape \(B, ..., 1\).*\(None, 2\)"):
        zoo.ple(5, ["click", "buy"], heads={"buy": keras.layers.Dense(2)})


@pytest.mark.parametrize("case", EXPERT_CASES)
def test_an_expert_may_be_any_layer(case):
    given = keras.layers.Dense(6, "tanh")
    model = build(case, 5, ["a", "b"], expert=given)
    assert model.count_params() == build(case, 5, ["a", "b"]).count_params()
    assert not given.built
    copies = [weight for path, weight in values(model).items() if path.endswith("kernel")]
    copies = [kernel for kernel in copies if kernel.shape == (5, 6)]
    assert len(copies) >= 3
    for index, kernel in enumerate(copies):
        assert not any(np.allclose(kernel, other) for other in copies[index + 1 :])


@pytest.mark.parametrize("case", EXPERT_CASES)
def test_an_expert_layer_computes_what_stacked_experts_compute(case):
    stacked = build(case, 5, ["a", "b"])
    own = build(case, 5, ["a", "b"], expert=keras.layers.Dense(6, "relu"))
    weights = values(stacked)
    for weight in own.weights:
        parent, _, name = weight.path.rpartition("/")
        scope, _, copy = parent.partition("/expert_")
        if copy:
            weight.assign(weights[f"{scope}/dense_0/{name}"][int(copy)])
        else:
            weight.assign(weights[weight.path])
    expected, found = predictions(stacked, rows()), predictions(own, rows())
    for task in expected:
        np.testing.assert_allclose(found[task], expected[task], atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_one_task(case):
    model = build(case, 5, "only")
    x = rows()
    labels = binary_labels(x)["a"]
    history = train(model, x, labels, steps=2, metrics=None).history
    assert sorted(history) == ["loss", "only_auc", "only_loss"]
    assert history["only_loss"][1] < history["only_loss"][0]
    figures = model.evaluate(x, {"only": labels}, verbose=0, return_dict=True)
    assert model.evaluate(x, labels, verbose=0, return_dict=True) == pytest.approx(figures)


@pytest.mark.parametrize("normalization", ["batch", "layer"])
@pytest.mark.parametrize("case", CASES)
def test_normalization_reaches_trunk_and_towers(case, normalization):
    model = build(case, 5, ["a", "b"], normalization=normalization)
    paths = [path for path in values(model) if "normalization_0" in path]
    assert {path.partition("/")[0] == "towers" for path in paths} == {True, False}
    statistics = {path: value for path, value in values(model).items() if "moving_mean" in path}
    assert len(statistics) == (0 if normalization == "layer" else 3 if case == "ple" else 2)
    x = rows(64)
    train(model, 10 * x, binary_labels(x))
    for path, mean in statistics.items():
        assert np.abs(values(model)[path] - mean).max() > 0, path


@pytest.mark.parametrize("case", CASES)
def test_dropout_drops_only_while_training(case):
    model = build(case, 5, ["a", "b"], dropout=0.5, tower_units=())
    x = rows()
    first, second = (predictions(model, x, training=True) for _ in range(2))
    assert not np.allclose(first["a"], second["a"])
    undropped = predictions(build(case, 5, ["a", "b"], tower_units=()), x)
    np.testing.assert_allclose(predictions(model, x)["a"], undropped["a"], atol=1e-6)
    assert build(case, 5, ["a", "b"], dropout=0.5).get_layer("towers").dropout == 0.5


@pytest.mark.parametrize("case", CASES)
def test_the_regularizer_of_every_kernel_reaches_the_loss(case):
    model = build(case, 5, ["a", "b"], kernel_regularizer=keras.regularizers.L2(0.01))
    kernels = [
        value
        for path, value in values(model).items()
        if path.endswith("kernel") and "gate" not in path
    ]
    assert len(kernels) == (4 if case == "ple" else 3)  # experts a level, towers, logits
    penalty = 0.01 * sum(np.square(kernel).sum() for kernel in kernels)
    model.compile("sgd", metrics=[], run_eagerly=True, loss_weights={"a": 2.0})
    x = rows()
    logs = model.evaluate(x, binary_labels(x), verbose=0, return_dict=True)
    assert logs["loss"] - 2.0 * logs["a_loss"] - logs["b_loss"] == pytest.approx(penalty, rel=1e-4)


def test_the_activation_reaches_trunk_and_towers():
    for case in CASES:
        linear = build(case, 5, ["a"], activation="linear", tower_units=(4,))
        x = rows()
        logit = lambda p: np.log(p) - np.log1p(-p)  # noqa: E731
        middle = {name: logit(p) for name, p in predictions(linear, x).items()}
        gated = case in EXPERT_CASES
        both = {name: logit(p) for name, p in predictions(linear, 2 * x).items()}
        zero = {name: logit(p) for name, p in predictions(linear, 0 * x).items()}
        if not gated:  # gates are not linear
            np.testing.assert_allclose(
                both["a"] - middle["a"], middle["a"] - zero["a"], atol=1e-4, err_msg=case
            )
        relu = {name: logit(p) for name, p in predictions(build(case, 5, ["a"]), x).items()}
        assert not np.allclose(relu["a"], middle["a"])


SIZES = [
    ("single_task", {"hidden_units": 0}, "hidden_units|units"),
    ("single_task", {"hidden_units": ()}, "units"),
    ("shared_bottom", {"bottom_units": -4}, "units"),
    ("mmoe", {"num_experts": 0}, "num_experts"),
    ("mmoe", {"num_experts": -1}, "num_experts"),
    ("mmoe", {"num_experts": 1.5}, "num_experts"),
    ("mmoe", {"expert_units": (4, 0)}, "expert_units"),
    ("one_gate", {"num_experts": 0}, "num_experts"),
    ("cgc", {"shared_experts": -1}, "shared_experts"),
    ("cgc", {"task_experts": -1}, "task_experts"),
    ("cgc", {"task_experts": {"a": 1, "b": -2}}, "task_experts"),
    ("cgc", {"shared_experts": 0, "task_experts": 0}, "shared_experts"),
    ("cgc", {"shared_experts": 0, "task_experts": {"a": 1, "b": 0}}, "shared_experts"),
    ("ple", {"levels": 0}, "levels"),
    ("ple", {"levels": -2}, "levels"),
    ("ple", {"shared_experts": 0}, "shared_experts"),
    ("ple", {"expert_units": ()}, "expert_units"),
]


@pytest.mark.parametrize(("case", "arguments", "named"), SIZES)
def test_sizes_that_are_not_positive_are_refused(case, arguments, named):
    with pytest.raises(ValueError, match=f"`({named})`.* must .*Received: "):
        build(case, 5, ["a", "b"], **arguments)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"tower_units": (4, 0)}, "tower_units"),
        ({"tower_units": {"a": 4, "b": -1}}, "tower_units"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"normalization": "group"}, "normalization"),
    ],
)
def test_options_out_of_range_are_refused(case, arguments, named):
    with pytest.raises(ValueError, match=f"Argument `{named}` must be .*Received: {named}="):
        build(case, 5, ["a", "b"], **arguments)


@pytest.mark.parametrize("case", EXPERT_CASES)
def test_gates_of_zero_width_are_refused(case):
    with pytest.raises(ValueError, match="Argument `gate_units` must be"):
        build(case, 5, ["a", "b"], gate_units=(0,))
