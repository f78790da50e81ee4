"""Layers, each in a model that ends in a head for every kind of task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_mtl import MultiTaskModel, Task
from tests.conformance.case import Anew, Case
from tests.conformance.draws import labels, numbers

TASKS = [
    Task("click"),
    Task("price", "regression"),
    Task("topic", "multiclass", units=3, given="click"),
]
OTHER_DRAWS = "dropout draws other random numbers"
NO_STACK = {"slices": "it has no stacked kernel"}
DROPOUT = {
    "backends": f"{OTHER_DRAWS} on each backend",
    "replicas": f"{OTHER_DRAWS} for half the rows",
    "compiled": f"{OTHER_DRAWS} under XLA",
}


@dataclass(frozen=True, kw_only=True)
class LayerCase(Case):
    """A layer.

    Attributes:
        row: shape of a row that it takes.
        output: shape of a row that it gives.
    """

    row: tuple[int, ...]
    output: tuple[int, ...]


def layer(
    name: str,
    option: str,
    row: tuple[int, ...],
    output: tuple[int, ...],
    weights: int,
    exempt: Mapping[str, str] | None = None,
    /,
    **arguments: Any,
) -> LayerCase:
    """The case of a layer called with `arguments`."""
    case = LayerCase(
        public=f"layers.{name}",
        option=option,
        arguments=arguments,
        row=row,
        output=output,
        weights=weights,
        model=lambda seed: _model(case, seed),
        inputs=numbers(*row),
        labels=labels(TASKS),
        exempt=exempt or {},
    )
    return case


def _model(case: LayerCase, seed: int) -> MultiTaskModel:
    inputs = keras.Input(case.row, name="features")
    seeded = (
        {} if "seed" in case.arguments or case.public == "layers.TaskOutput" else {"seed": seed}
    )
    hidden = keras.layers.Flatten()(case.make(**seeded)(inputs))
    outputs = {}
    for index, task in enumerate(TASKS):
        start = keras.initializers.GlorotUniform(seed=seed + index)
        activation = {"binary": "sigmoid", "multiclass": "softmax"}.get(task.kind)
        outputs[task.name] = keras.layers.Dense(task.units, activation, kernel_initializer=start)(
            hidden
        )
    return MultiTaskModel(inputs=inputs, outputs=outputs, tasks=TASKS)


def network() -> keras.Layer:
    """A layer of one's own, to copy for every expert."""
    return keras.Sequential([keras.layers.Dense(6, activation="tanh"), keras.layers.Dense(3)])


def starts() -> dict[str, Any]:
    """Initializers and regularisers that differ from the defaults."""
    return {
        "kernel_initializer": Anew(lambda: keras.initializers.HeNormal(seed=2)),
        "kernel_regularizer": Anew(lambda: keras.regularizers.L2(0.1)),
    }


def cases() -> Iterator[Case]:
    """Every layer, plain and with each of its options."""
    bias = {"bias_initializer": Anew(lambda: keras.initializers.Constant(0.5))}
    smooth = {"activation": "tanh"}
    yield from task_dense({**smooth, **starts(), **bias})
    yield from experts({**smooth, **starts(), **bias})
    yield from gate({**smooth, **starts()})
    yield from mixtures({**smooth, **starts(), **bias, "gate_temperature": 2.0, "gate_units": 3})
    yield from sparse({**smooth, "kernel_regularizer": starts()["kernel_regularizer"]})
    yield layer("TaskOutput", "", (2,), (2,), 0, NO_SEED, **_output(units=2))
    yield layer(
        "TaskOutput",
        "of a stack",
        (3, 1),
        (1,),
        0,
        NO_SEED,
        index=1,
        activation="sigmoid",
        **_output(),
    )


# Tests of sparse layers hold two replicas to the numbers of two groups.
GROUPS = {"replicas": "every replica is a group, with capacities and losses of its own"}
NOISE = {
    "backends": "its noise draws other random numbers on each backend",
    "replicas": "its noise draws other random numbers for half the rows",
    "compiled": "its noise draws other random numbers under XLA",
}


def sparse(options: dict[str, Any]) -> Iterator[Case]:
    """MoE and SwitchFFN: without what depends on the batch, with all of it, and with capacities."""
    # A name of one's own: it stands in the logs.
    moe = {"num_experts": 4, "expert_units": (5, 2), "name": "sparse"}
    calm = {"noisy": False, "importance_loss": 0.0, "load_loss": 0.0}
    yield layer("MoE", "", (4,), (2,), 5, **moe, **calm)
    yield layer("MoE", "noise", (4,), (2,), 6, NOISE, **moe, noise_epsilon=0.1)
    yield layer("MoE", "capacity", (3, 4), (3, 2), 5, GROUPS, **moe, **_capacities(), noisy=False)
    yield layer(
        "MoE",
        "options",
        (4,),
        (2,),
        4,
        DROPOUT,
        **moe,
        **options,
        seed=5,
        top_k=3,
        output_activation="relu",
        use_bias=False,
        noisy=True,
        expert_dropout=0.5,
        kernel_initializer=starts()["kernel_initializer"],
        gate_initializer=Anew(lambda: keras.initializers.HeNormal(seed=3)),
    )
    switch = {"num_experts": 4, "hidden_units": 5, "jitter": 0.0, "name": "sparse"}
    alone = {"capacity_factor": None, "balance_loss": 0.0}
    yield layer("SwitchFFN", "", (4,), (4,), 3, **switch, **alone)
    yield layer("SwitchFFN", "capacity", (3, 4), (3, 4), 3, GROUPS, **switch, **_capacities())
    yield layer(
        "SwitchFFN",
        "options",
        (4,),
        (4,),
        5,
        DROPOUT,
        **{**switch, "jitter": 0.1},
        **options,
        seed=5,
        top_k=2,
        eval_capacity_factor=None,
        min_capacity=2,
        use_bias=True,
        expert_dropout=0.5,
        balance_loss=0.1,
        router_z_loss=0.01,
        kernel_initializer=starts()["kernel_initializer"],
    )


def _capacities() -> dict[str, Any]:
    return {"capacity_factor": 1.0, "num_groups": 2}


NO_SEED = {**NO_STACK, "seeds": "it draws nothing"}


def _output(**options: Any) -> dict[str, Any]:
    kind = "regression" if options else "binary"
    return {"task": Anew(lambda: Task("shown", kind, **options))}


def task_dense(options: dict[str, Any]) -> Iterator[Case]:
    yield layer("TaskDense", "", (4,), (3, 2), 2, num_tasks=3, units=2)
    yield layer("TaskDense", "options", (4,), (3, 2), 2, num_tasks=3, units=2, seed=5, **options)
    yield layer(
        "TaskDense",
        "own inputs",
        (3, 4),
        (3, 2),
        1,
        num_tasks=3,
        units=2,
        use_bias=False,
        task_inputs=True,
    )
    prior = Anew(lambda: keras.layers.ActivityRegularization(l2=0.01))
    yield layer("TaskDense", "prior", (4,), (3, 2), 2, num_tasks=3, units=2, prior=prior)


def experts(options: dict[str, Any]) -> Iterator[Case]:
    sizes = {"num_experts": 3, "units": (5, 2)}
    yield layer("Experts", "", (4,), (3, 2), 4, **sizes)
    yield layer("Experts", "options", (4,), (3, 2), 4, seed=5, **sizes, **options)
    yield layer("Experts", "slots", (2, 4), (3, 2), 4, input_slots=(1, 0, 1), **sizes)
    yield layer("Experts", "batch", (4,), (3, 2), 10, normalization="batch", **sizes)
    yield layer("Experts", "layer", (4,), (3, 2), 8, normalization="layer", **sizes)
    yield layer("Experts", "dropout", (4,), (3, 2), 4, DROPOUT, dropout=0.5, **sizes)
    copies = {"num_experts": 3, "expert": Anew(network)}
    yield layer("Experts", "copies", (4,), (3, 3), 12, NO_STACK, **copies)


def gate(options: dict[str, Any]) -> Iterator[Case]:
    yield layer("Gate", "", (4,), (1, 3), 2, num_experts=3)
    yield layer(
        "Gate",
        "options",
        (4,),
        (2, 3),
        5,
        num_experts=3,
        num_gates=2,
        hidden_units=(5,),
        temperature=2.0,
        use_bias=True,
        seed=5,
        **options,
    )
    yield layer(
        "Gate",
        "own inputs",
        (2, 4),
        (2, 3),
        2,
        num_experts=3,
        num_gates=2,
        gate_inputs=True,
        visible=[(0,), (1, 2)],
    )


def mixtures(options: dict[str, Any]) -> Iterator[Case]:
    """MMoE, CGC and PLE, which take the same options."""
    sizes: dict[str, dict[str, Any]] = {
        "MMoE": {"num_tasks": 2, "num_experts": 3},
        "CGC": {"num_tasks": 2, "shared_experts": 1, "task_experts": 2},
        "PLE": {"num_tasks": 2, "levels": 2, "shared_experts": 1, "task_experts": (1, 2)},
    }
    plain = {"MMoE": 6, "CGC": 6, "PLE": 15}
    with_gate_units = {"MMoE": 8, "CGC": 8, "PLE": 19}
    moving = {"MMoE": 7, "CGC": 7, "PLE": 17}
    scaled = {"MMoE": 6, "CGC": 6, "PLE": 15}
    flat_plain = {"MMoE": 4, "CGC": 4, "PLE": 11}
    copied = {"MMoE": 14, "CGC": 22, "PLE": 39}
    for name, size in sizes.items():
        deep, flat = {**size, "expert_units": (5, 2)}, {**size, "expert_units": 2}
        yield layer(name, "", (4,), (2, 2), plain[name], **deep)
        yield layer(name, "options", (4,), (2, 2), with_gate_units[name], seed=5, **deep, **options)
        yield layer(name, "batch", (4,), (2, 2), moving[name], normalization="batch", **flat)
        yield layer(name, "layer", (4,), (2, 2), scaled[name], normalization="layer", **flat)
        yield layer(name, "dropout", (4,), (2, 2), flat_plain[name], DROPOUT, dropout=0.5, **flat)
        yield layer(name, "copies", (4,), (2, 3), copied[name], expert=Anew(network), **size)
    yield layer(
        "MMoE",
        "one gate",
        (4,),
        (2, 2),
        4,
        num_tasks=2,
        num_experts=3,
        expert_units=2,
        one_gate=True,
    )
    cgc = {**sizes["CGC"], "expert_units": 2}
    yield layer("CGC", "own inputs", (3, 4), (2, 2), 4, task_inputs=True, **cgc)
    yield layer("CGC", "shared output", (4,), (3, 2), 5, shared_output=True, **cgc)
    many = {"num_tasks": 17, "shared_experts": 1, "task_experts": (1, 2, *[1] * 15)}
    yield layer("CGC", "many tasks", (4,), (18, 2), 6, expert_units=2, shared_output=True, **many)
