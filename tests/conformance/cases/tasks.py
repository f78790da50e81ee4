"""Tasks, models of one's own graph, and metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_mtl import MultiTaskModel, Task, metrics, zoo
from tests.conformance.case import Anew, Case
from tests.conformance.cases.layers import TASKS
from tests.conformance.draws import labels, numbers

WIDTH = 5
NO_LAYER = {"slices": "it makes no stacked kernel of its own"}
KEYS = {"trained": "Keras' attention has a bias of keys, which its softmax takes away again"}


def task(option: str, *others: Task, **arguments: Any) -> Case:
    """The case of a task among `others`."""
    tasks = [Task(**arguments), *others]
    return Case(
        public="Task",
        option=option,
        arguments=arguments,
        weights=6,
        model=lambda seed: zoo.shared_bottom(WIDTH, tasks, tower_units=4, seed=seed),
        inputs=numbers(WIDTH),
        labels=labels(tasks),
        exempt=NO_LAYER,
    )


def auc(option: str, shown: Task, **arguments: Any) -> Case:
    """The case of an AUC of the task `shown`."""
    return Case(
        public="metrics.AUC",
        option=option,
        arguments=arguments,
        weights=6,
        compiled={"metrics": Anew(lambda: {shown.name: [metrics.AUC(**arguments)]})},
        model=lambda seed: zoo.shared_bottom(WIDTH, [shown], tower_units=4, seed=seed),
        inputs=numbers(WIDTH),
        labels=labels([shown]),
        exempt=NO_LAYER,
    )


def cases() -> Iterator[Case]:
    """Every kind of task with every option, a hand-written graph, AUC of one and of many labels."""
    yield task("", name="click")
    yield task("multiclass", name="topic", kind="multiclass", units=3, missing=9)
    yield task("multilabel", name="tags", kind="multilabel", units=3)
    yield task("regression", name="size", kind="regression", units=2, loss="huber", metrics=["mae"])
    yield task("given", Task("click"), name="buy", given="click")
    yield task("on all rows", Task("click"), name="buy", given="click", trained_on="all")
    yield task(
        "weighted",
        Task("click"),
        name="buy",
        weight=2.0,
        class_weight={0: 1.0, 1: 3.0},
        weight_column="importance",
        group_column="person",
    )
    yield Case(
        public="MultiTaskModel",
        arguments=dict.fromkeys(["tasks"], TASKS),
        weights=18,
        model=hand_written,
        inputs=numbers(4, WIDTH),
        labels=labels(TASKS),
        exempt=NO_LAYER | KEYS,
    )
    yield auc("", Task("click"), name="auc")
    yield auc(
        "of labels",
        Task("tags", "multilabel", units=3),
        num_labels=3,
        num_thresholds=64,
        average="macro",
        from_logits=False,
    )


def hand_written(seed: int) -> MultiTaskModel:
    """A graph that no constructor makes: tokens, a mask, attention of Keras' own."""
    tokens = keras.Input((4, WIDTH), name="tokens")

    def start(place: int) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=seed + place)

    hidden = keras.layers.Dense(6, "gelu", kernel_initializer=start(0))(tokens)
    hidden = keras.layers.MultiHeadAttention(2, 3, kernel_initializer=start(1))(hidden, hidden)
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(hidden))
    kinds: Mapping[str, Any] = {"binary": "sigmoid", "multiclass": "softmax", "regression": None}
    outputs = {
        each.name: keras.layers.Dense(
            each.units, kinds[each.kind], kernel_initializer=start(2 + place)
        )(pooled)
        for place, each in enumerate(TASKS)
    }
    return MultiTaskModel(inputs=tokens, outputs=outputs, tasks=TASKS)
