"""Arguments that nobody should give: a working object, or a sentence that names the argument."""

import inspect

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task, datasets, features, layers, metrics, zoo
from tests.hostile.outcomes import refusal

VALUES = [
    *(0, -1, 2, 10**30, 1.5, True, None, float("nan"), float("inf"), 3 + 1j),
    *("abc", "", "a/b", b"x", (), [], (0,), (2, -1), (2, "a"), [[1]], {}, {"a": 1}, {"zz": 1}),
    *(np.int64(2), np.float32(2), np.array([1, 2]), object(), len),
]
OPTIONS = [
    *("expert", "activation", "normalization", "dropout", "kernel_initializer"),
    *("bias_initializer", "kernel_regularizer", "gate_temperature", "seed"),
]
# Keras' own: it says what is wrong with them.
NOT_OURS = ("self", "kwargs", "options", "name", "dtype", "args")
# Sizes are not bounded: a model may be as large as the machine.
HUGE = 10**30

LAYERS = {
    layers.TaskDense: {"num_tasks": 2, "units": 3},
    layers.Experts: {"num_experts": 2, "units": 3},
    layers.Gate: {"num_experts": 2, "num_gates": 2},
    layers.MMoE: {"num_tasks": 2, "num_experts": 2, "expert_units": 3},
    layers.CGC: {"num_tasks": 2, "shared_experts": 1, "task_experts": 1, "expert_units": 3},
    layers.PLE: {
        "num_tasks": 2,
        "levels": 2,
        "shared_experts": 1,
        "task_experts": 1,
        "expert_units": 3,
    },
    layers.MoE: {"num_experts": 3, "expert_units": 3},
    layers.SwitchFFN: {"num_experts": 3, "hidden_units": 3},
}
PLAIN = {
    metrics.AUC: {},
    features.Category: {"name": "c"},
    features.Sequence: {"name": "c"},
    features.Numeric: {"name": "c"},
    features.TabularFeatures: {"categorical": ["c"], "numeric": ["n"]},
    Task: {"name": "t"},
}
SMALL = {"num_experts": 2, "shared_experts": 1, "task_experts": 1, "levels": 1}
SMALL |= dict.fromkeys(("expert_units", "bottom_units", "hidden_units", "tower_units"), (2,))
SEQUENCES = {"hidden_units": 2, "model_units": 4, "num_layers": 2, "max_length": 3}


def arguments_of(function):
    names = inspect.signature(function).parameters
    own = [name for name in names if name not in NOT_OURS]
    return own + OPTIONS if "options" in names else own


def sizes(argument):
    words = ("num_", "units", "experts", "levels", "dim", "buckets", "length", "bins", "inputs")
    return any(word in argument for word in words)


def values_for(argument):
    for value in VALUES:
        if isinstance(value, int) and value == HUGE and sizes(argument):
            continue
        # A user's own function is called as one, an array taken as a constant.
        if value is len and argument.endswith(("initializer", "regularizer", "activation")):
            continue
        if isinstance(value, np.ndarray) and "initializer" in argument:
            continue
        yield value


def outputs_of(layer, arguments):
    slotted = any(arguments.get(name) is True for name in ("task_inputs", "gate_inputs"))
    slots = 3 if isinstance(layer, layers.CGC) else 2
    if arguments.get("input_slots") is not None:
        slots, slotted = 3, True
    x = np.ones((2, slots, 3) if slotted else (2, 3), "float32")
    return keras.ops.convert_to_numpy(layer(x))


def refused_by_name(make, argument, value):
    sentence = refusal(lambda: make({argument: value}))
    # "`units` is needed", "a task's name must"
    words = (argument, argument.removesuffix("s"), argument.split("_")[-1])
    assert sentence is None or any(word in sentence for word in words), (argument, value, sentence)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda cls: cls.__name__)
def test_layers(layer):
    def make(changes):
        arguments = LAYERS[layer] | changes
        made = layer(**arguments)
        assert np.isfinite(outputs_of(made, arguments)).all()
        assert layer.from_config(made.get_config()).get_config() == made.get_config()

    for argument in arguments_of(layer):
        for value in values_for(argument):
            refused_by_name(make, argument, value)


@pytest.mark.parametrize("cls", PLAIN, ids=lambda cls: cls.__name__)
def test_tasks_columns_and_metrics(cls):
    def make(changes):
        made = cls(**PLAIN[cls] | changes)
        restored = cls.from_config(made.get_config())
        assert repr(restored.get_config()) == repr(made.get_config())

    for argument in [*arguments_of(cls), *(["name"] if "name" in PLAIN[cls] else [])]:
        for value in values_for(argument):
            refused_by_name(make, argument, value)


def test_synthetic_data():
    def make(changes):
        rows = dict.fromkeys(("num_train", "num_valid", "num_test"), 3)
        data = datasets.synthetic_tasks.load(**rows | {"num_features": 3, "num_sines": 1} | changes)
        assert np.isfinite(data.train.labels["task_0"]).all()

    for argument in arguments_of(datasets.synthetic_tasks.load):
        for value in values_for(argument):
            refused_by_name(make, argument, value)


def test_the_folder_of_a_data_set():
    for value in (0, 1.5, ["a"], b"x", object()):
        sentence = refusal(lambda value=value: datasets.census_income.load(value))
        assert "`data_dir` must be the path of a folder" in sentence


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "switch_transformer"))
        for name in zoo.list_models()
    ],
)
def test_models(name):
    constructor = zoo.get_constructor(name)
    known = inspect.signature(constructor).parameters
    small = {"inputs": 3, "tasks": ["a", "b"]} | {k: v for k, v in SMALL.items() if k in known}
    small |= SEQUENCES if "max_length" in known else {}

    def make(changes):
        model = constructor(**small | changes)
        y = model(np.ones([size or 2 for size in model.input.shape], "float32"))
        assert all(np.isfinite(value).all() for value in y.values())

    for argument in arguments_of(constructor):
        # A layer checks its own; here, what only a constructor reads, and what it hands on.
        few = argument in ("inputs", "tasks", "heads", "tower_units", "task_experts", "expert")
        for value in values_for(argument) if few else ("abc", object(), np.array([1, 2])):
            refused_by_name(make, argument, value)


def test_per_task_arguments_name_the_task():
    def sentence(**arguments):
        return refusal(lambda: zoo.ple(3, ["a", "b"], **arguments))

    assert "Did you mean 'a'" in sentence(tower_units={"a": 1, "b": 1, "aa": 1})
    assert "Missing: b" in sentence(task_experts={"a": 1})
    assert "`task_experts`" in sentence(task_experts={"a": 1, "b": -1})
    assert "`tower_units`" in sentence(tower_units={"a": 1, "b": None})
    assert "`heads` must be keyed by task" in sentence(heads={"c": keras.layers.Dense(1)})
    assert "`heads` must hold layers" in sentence(heads={"a": 5})


def test_a_hand_written_model():
    x = keras.Input((3,), name="x")
    good = {"inputs": x, "outputs": {"a": keras.layers.Dense(1)(x)}, "tasks": ["a"]}
    for argument, values in {
        "outputs": (None, 5, [], {}, {"a": 5}, {"b": good["outputs"]["a"]}, good["outputs"]["a"]),
        "tasks": (5, [], ["b"], [5], "b", [Task("a", "multiclass", 3)]),
    }.items():
        for value in values:
            arguments = good | {argument: value}
            assert refusal(lambda given=arguments: MultiTaskModel(**given)), (argument, value)


@pytest.mark.parametrize("argument", ["loss", "metrics", "weighted_metrics", "loss_weights"])
def test_compile(argument):
    model = zoo.shared_bottom(3, ["a", "b"], bottom_units=2, tower_units=2)
    for value in (object(), "no such thing", 3 + 1j, {"a": "no such thing"}, {"c": 1}):
        assert argument.split("_")[-1] in refusal(
            lambda value=value: model.compile(**{argument: value})
        )


def test_class_weights_are_a_dict_of_finite_numbers():
    model = zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=2)
    model.compile(run_eagerly=True)
    data = np.ones((2, 3)), {"a": np.ones(2)}
    for value in (5, "a", {"a": 5}, {2: 1.0}, {0: float("nan")}, {"a": {0: "x"}}, {"b": {0: 1}}):
        assert "class_weight" in refusal(
            lambda value=value: model.fit(*data, class_weight=value, verbose=0)
        )
