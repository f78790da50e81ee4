"""Ready models: every constructor, plain and with each of its options."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from keras_mtl import Task
from tests.conformance.case import Anew, Case
from tests.conformance.cases.layers import DROPOUT, GROUPS, NOISE, TASKS, network
from tests.conformance.draws import ids, labels, numbers, token_labels

WIDTH = 5
NETWORKS = {"slices": "its stacks are those of its layers, which have cases of their own"}


def constructor(
    name: str,
    option: str,
    weights: int,
    exempt: Mapping[str, str] | None = None,
    **arguments: Any,
) -> Case:
    """The case of `zoo.NAME` called with `arguments`."""
    case = Case(
        public=f"zoo.{name}",
        option=option,
        arguments={"inputs": WIDTH, "tasks": TASKS, "tower_units": 4, **arguments},
        weights=weights,
        model=lambda seed: case.make(seed=seed),
        inputs=numbers(WIDTH),
        labels=labels(TASKS),
        exempt={**NETWORKS, **(exempt or {})},
    )
    return case


PADDING = {
    "trained": "the vector of padding, which Keras' `Embedding` holds, is hidden by the mask"
}
SIZES: dict[str, dict[str, Any]] = {
    "single_task": {"hidden_units": 6},
    "shared_bottom": {"bottom_units": 6},
    "mmoe": {"num_experts": 3, "expert_units": 6},
    "cgc": {"shared_experts": 1, "task_experts": 2, "expert_units": 6},
    "ple": {"levels": 2, "shared_experts": 1, "task_experts": 1, "expert_units": 6},
    "moe": {
        "num_experts": 4,
        "expert_units": 6,
        "noisy": False,
        "importance_loss": 0.0,
        "load_loss": 0.0,
    },
}
# Number of weights: plain; normalised, but with one tower and head fewer; towers of other depths.
WEIGHTS = {
    "single_task": (10, 18, 14),
    "shared_bottom": (10, 18, 14),
    "mmoe": (12, 20, 16),
    "cgc": (12, 20, 16),
    "ple": (17, 27, 21),
    "moe": (11, 17, 15),
}
COPIES = {"mmoe": 24, "cgc": 40, "ple": 49}


def own_head() -> dict[str, keras.Layer]:
    """What replaces the tower and head of a task."""
    start = keras.initializers.GlorotUniform(seed=7)
    return {"price": keras.layers.Dense(1, "softplus", kernel_initializer=start)}


def cases() -> Iterator[Case]:
    """Every constructor with every option that it takes."""
    for name, sizes in SIZES.items():
        plain, normalized, of_other_depths = WEIGHTS[name]
        yield constructor(name, "", plain, **sizes)
        yield constructor(
            name,
            "options",
            normalized,
            activation="tanh",
            normalization="layer",
            kernel_regularizer=Anew(lambda: keras.regularizers.L2(0.1)),
            heads=Anew(own_head),
            **sizes,
        )
        yield constructor(name, "dropout", plain, DROPOUT, dropout=0.5, **sizes)
        towers = {"click": (4, 3), "price": (), "topic": 4}
        yield constructor(name, "towers", of_other_depths, **{**sizes, "tower_units": towers})
    for name, weights in COPIES.items():
        kept = {k: v for k, v in SIZES[name].items() if k != "expert_units"}
        yield constructor(name, "copies", weights, expert=Anew(network), gate_units=3, **kept)
    yield constructor("mmoe", "one gate", 12, one_gate=True, **SIZES["mmoe"])
    noisy = {**SIZES["moe"], "noisy": True, "importance_loss": 0.1, "load_loss": 0.1}
    yield constructor("moe", "noise", 12, NOISE, **noisy)
    sparser = {"top_k": 3, "capacity_factor": 1.0}
    yield constructor("moe", "capacity", 11, GROUPS, **SIZES["moe"], **sparser)
    yield from transformers()
    own = {"click": 1, "price": 2, "topic": 0}
    yield constructor("cgc", "own numbers", 13, **{**SIZES["cgc"], "task_experts": own})
    yield constructor("ple", "own numbers", 19, **{**SIZES["ple"], "task_experts": own})


TRANSFORMER: dict[str, Any] = {
    "num_layers": 2,
    "num_heads": 2,
    "model_units": 8,  # a layer normalisation of four numbers magnifies rounding a hundredfold
    "hidden_units": 6,
    "num_experts": 3,
    "max_length": 5,
    "capacity_factor": None,
    "jitter": 0.0,
    "balance_loss": 0.0,
}
TOKEN_TASKS = [Task("tag", "multiclass", units=3), Task("topic", "multiclass", units=3)]


def transformers() -> Iterator[Case]:
    """Tasks on sequences of vectors, with and without options, and on tokens by their ids."""
    of_rows = {"pooling": "mean", **TRANSFORMER}
    yield sequence_case("", 42, **of_rows)
    capacities = {"capacity_factor": 1.0, "eval_capacity_factor": 1.5, "balance_loss": 0.01}
    yield sequence_case("capacity", 42, GROUPS, **{**of_rows, **capacities})
    yield sequence_case(
        "options",
        43,
        DROPOUT,
        **{**of_rows, "jitter": 0.1, "router_z_loss": 0.01, "top_k": 2, "sparse_every": 1},
        activation="tanh",
        dropout=0.5,
        expert_dropout=0.2,
        kernel_regularizer=Anew(lambda: keras.regularizers.L2(0.1)),
        heads=Anew(own_head),
    )
    case = Case(
        public="zoo.switch_transformer",
        option="tokens",
        arguments={
            "inputs": Anew(lambda: keras.Input((5,), dtype="int32", name="tokens")),
            "tasks": TOKEN_TASKS,
            "vocabulary_size": 9,
            **TRANSFORMER,
        },
        weights=35,
        model=lambda seed: case.make(seed=seed),
        inputs=ids(5, 9),
        labels=token_labels(TOKEN_TASKS, 5),
        exempt={**NETWORKS, **PADDING},
    )
    yield case


def sequence_case(
    option: str, weights: int, exempt: Mapping[str, str] | None = None, **arguments: Any
) -> Case:
    """The case of a transformer that reads vectors."""
    made = constructor("switch_transformer", option, weights, exempt, **arguments)
    return dataclasses.replace(made, inputs=numbers(5, WIDTH))
