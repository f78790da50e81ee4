import json

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task
from keras_mtl.task import as_tasks


def test_defaults_follow_the_kind():
    assert [Task("a", kind).units for kind in ("binary", "regression")] == [1, 1]
    task = Task("a")
    assert (task.kind, task.missing, task.trained_on, task.weight) == (
        "binary",
        "auto",
        "given",
        1.0,
    )


@pytest.mark.parametrize("name", ["a", ".a", "5", "A_b-c.d", "income_50", "0-1"])
def test_names_that_are_allowed(name):
    assert Task(name).name == name


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "a/b", "é", "a\n", None, 3])
def test_names_that_are_not(name):
    with pytest.raises(ValueError, match=r"name must start with a letter.*Received: name="):
        Task(name)


@pytest.mark.parametrize("name", ["loss", "serving_default", "packed", "examples"])
def test_names_that_are_reserved(name):
    with pytest.raises(ValueError, match=rf"must not be one of the reserved .* name='{name}'"):
        Task(name)


REFUSED = {
    "kind": (("a", "binari"), {}, r"`kind` must be one of .* Did you mean 'binary'\? .*'binari'"),
    "classes": (("a", "multiclass"), {}, "multiclass task 'a' must be an integer of at least 2"),
    "one class": (("a", "multiclass", 1), {}, "at least 2. Received: units=1"),
    "columns": (("a", "multilabel"), {}, "multilabel task 'a' must be an integer of at least 1"),
    "zero": (("a", "regression", 0), {}, r"`units` must be an integer of at least 1.*units=0"),
    "binary units": (("a", "binary", 2), {}, r'binary task \'a\' must be 1 or None.*"multilabel"'),
    "missing": (("a",), {"missing": "nan"}, r'`missing` must be "auto", .* a number or None'),
    "NaN": (("a",), {"missing": float("nan")}, r'`missing` must be "auto", .*missing=nan'),
    "trained_on": (("a",), {"trained_on": "al"}, r"`trained_on` must be one of .*mean 'all'"),
    "no parent": (("a",), {"trained_on": "all"}, r"`trained_on=\"all\"` of task 'a' must go with"),
    "no product": (
        ("a", "regression"),
        {"trained_on": "all", "given": "b"},
        r"must go with kind=\"binary\".* Received: kind='regression'",
    ),
    "product loss": (
        ("a",),
        {"trained_on": "all", "given": "b", "loss": "mse"},
        r"no `loss` of its own.*loss='mse'",
    ),
    "class": (("a",), {"class_weight": {2: 1.0}}, r"must map classes in \[0, 2\) to weights"),
    "no class": (("a",), {"class_weight": {}}, r"must map classes in \[0, 2\) to weights"),
    "classless": (("a", "regression"), {"class_weight": {0: 1}}, "of the regression task 'a'"),
}


@pytest.mark.parametrize(("args", "kwargs", "match"), REFUSED.values(), ids=REFUSED)
def test_arguments_that_are_refused(args, kwargs, match):
    with pytest.raises(ValueError, match=match):
        Task(*args, **kwargs)


def test_strings_are_binary_tasks():
    assert as_tasks("a") == [Task("a")]
    assert as_tasks(("a", Task("b", "regression"))) == [Task("a"), Task("b", "regression")]


@pytest.mark.parametrize(
    ("tasks", "match"),
    [
        ([], "at least one Task or task name"),
        ([3], "at least one Task or task name"),
        (["a", "b", Task("a", "regression")], "must be unique. Received twice: a"),
        ([Task("a", given="b")], r"`given` of task 'a' must name a binary task .* given='b'"),
        (
            [Task("a", given="b"), Task("b", "regression")],
            r"`given` of task 'a' must name a binary task .* binary tasks=\['a'\]",
        ),
        (["val"], "look like validation figures: .* name='val'"),
        (["a", "val_a"], "look like validation figures: .* name='val_a'"),
        ([Task("a", given="a")], "must not form a cycle. Received: a -> a"),
        (
            [Task("a", given="b"), Task("b", given="c"), Task("c", given="a")],
            "must not form a cycle. Received: a -> b -> c -> a",
        ),
        (
            [Task("d", given="a"), Task("a", given="b"), Task("b", given="a")],
            "must not form a cycle",
        ),
    ],
)
def test_tasks_that_do_not_fit_each_other(tasks, match):
    with pytest.raises(ValueError, match=match):
        as_tasks(tasks)


def test_a_name_may_begin_like_validation_figures():
    assert [task.name for task in as_tasks(["a", "val_b", "value"])] == ["a", "val_b", "value"]


def test_every_field_survives_json():
    task = Task(
        "a",
        "multiclass",
        3,
        missing=-7,
        given="b",
        weight_column="w",
        group_column="user",
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.2),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top")],
        weight=2.5,
        class_weight={0: 2.0, 2: 0.5},
    )
    again = Task.from_config(json.loads(json.dumps(task.get_config())))
    assert again == task
    assert again.class_weight == {0: 2.0, 2: 0.5}
    assert again.weight_column == ["w"]
    assert again != Task("a", "multiclass", 3)
    assert {task: 1}[again] == 1


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.Huber(delta=0.25),
        keras.losses.CosineSimilarity(axis=0),
        keras.losses.BinaryFocalCrossentropy(gamma=0.5, label_smoothing=0.1),
        keras.losses.BinaryCrossentropy(from_logits=True),
    ],
)
def test_a_task_keeps_the_parameters_of_its_loss(loss):
    task = Task("a", "regression", loss=loss)
    again = keras.losses.get(Task.from_config(json.loads(json.dumps(task.get_config()))).loss)
    labels, outputs = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.9, 0.8], [0.3, 0.4]])
    assert float(again(labels, outputs)) == float(loss(labels, outputs))


def test_a_task_of_one_model_may_serve_another():
    task = Task("a", metrics=[keras.metrics.BinaryAccuracy(name="hits")])
    models = []
    for label in (0, 1):
        x = keras.Input((1,), name="x")
        output = keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(x)
        models.append(MultiTaskModel(inputs=x, outputs={"a": output}, tasks=[task]))
        models[-1].compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        models[-1].fit(np.ones((2, 1)), np.full(2, label), verbose=0)
    hits = [model.get_metrics_result()["a_hits"] for model in models]
    assert [float(hit) for hit in hits] == [0.0, 1.0]
