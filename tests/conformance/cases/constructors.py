"""Ready models: every constructor, plain and with each of its options."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from tests.conformance.case import Anew, Case
from tests.conformance.cases.layers import DROPOUT, TASKS, network
from tests.conformance.draws import labels, numbers

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


SIZES: dict[str, dict[str, Any]] = {
    "single_task": {"hidden_units": 6},
    "shared_bottom": {"bottom_units": 6},
    "mmoe": {"num_experts": 3, "expert_units": 6},
    "cgc": {"shared_experts": 1, "task_experts": 2, "expert_units": 6},
    "ple": {"levels": 2, "shared_experts": 1, "task_experts": 1, "expert_units": 6},
}
# Number of weights: plain; normalised, but with one tower and head fewer; towers of other depths.
WEIGHTS = {
    "single_task": (10, 18, 14),
    "shared_bottom": (10, 18, 14),
    "mmoe": (12, 20, 16),
    "cgc": (12, 20, 16),
    "ple": (16, 26, 20),
}
COPIES = {"mmoe": 24, "cgc": 40, "ple": 48}


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
    own = {"click": 1, "price": 2, "topic": 0}
    yield constructor("cgc", "own numbers", 12, **{**SIZES["cgc"], "task_experts": own})
    yield constructor("ple", "own numbers", 16, **{**SIZES["ple"], "task_experts": own})
