"""What several constructors share: inputs, towers, heads.

Stacks over tasks are in the order of the tasks' names, so permuting the `tasks` argument changes
nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import keras
from keras import ops

from keras_mtl.checks import check_positive, check_task_keys, check_units
from keras_mtl.features import TabularFeatures
from keras_mtl.layers import Experts, TaskDense
from keras_mtl.layers.initialization import derive_seed
from keras_mtl.layers.task_output import TaskOutput
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task, as_tasks
from keras_mtl.training.heads import activation_of


@dataclass(frozen=True)
class Network:
    """Options that hold for every feed-forward part of a model."""

    activation: Any = "relu"
    normalization: str | None = None
    dropout: float = 0.0
    kernel_regularizer: Any = None
    seed: int | None = None

    def options(self, name: str) -> dict[str, Any]:
        """Arguments of the layer called `name`; its draws are seeded by that name."""
        return {
            "activation": self.activation,
            "normalization": self.normalization,
            "dropout": self.dropout,
            "kernel_regularizer": self.kernel_regularizer,
            "seed": derive_seed(self.seed, name),
            "name": name,
        }


@dataclass(frozen=True)
class Towers:
    """What stands between a model's representation and its predictions."""

    units: int | Sequence[int] | Mapping[str, Any] = (32,)
    heads: Mapping[str, keras.layers.Layer] = field(default_factory=dict)


def sorted_tasks(tasks: Task | str | Iterable[Task | str]) -> list[Task]:
    """The tasks in the order of every stack."""
    return sorted(as_tasks(tasks), key=lambda task: task.name)


def per_task(name: str, tasks: Sequence[Task], value: Any) -> list[Any]:
    """One value for each task, out of a value for all or a dict by task name.

    Raises:
        ValueError: If the dict leaves a task out or names an unknown one.
    """
    if not isinstance(value, Mapping):
        return [value] * len(tasks)
    known = [task.name for task in tasks]
    check_task_keys(name, value, known)
    missing = [key for key in known if key not in value]
    if missing:
        raise ValueError(
            f"Argument `{name}` must give a value for every task. Missing: {', '.join(missing)}. "
            f"Received: {name}={dict(value)}"
        )
    return [value[key] for key in known]


def as_representation(inputs: Any, seed: int | None) -> keras.KerasTensor:
    """The tensor that a model starts from, of any of the forms that `inputs` may have.

    Args:
        inputs: A width D (one input called "features"), a `TabularFeatures` table, a `KerasTensor`
            of any functional graph, or a dict of them, which are concatenated on the last axis.
        seed: Seed of a table's embeddings.
    """
    if isinstance(inputs, TabularFeatures):
        return inputs.embed(seed=derive_seed(seed, "embeddings"))
    if isinstance(inputs, keras.KerasTensor):
        return inputs
    if isinstance(inputs, Mapping) and inputs:
        if all(isinstance(tensor, keras.KerasTensor) for tensor in inputs.values()):
            tensors = [inputs[name] for name in sorted(inputs)]
            return tensors[0] if len(tensors) == 1 else keras.layers.Concatenate()(tensors)
    elif isinstance(inputs, Integral):
        return keras.Input((check_positive("inputs", inputs),), name="features")
    raise ValueError(
        "Argument `inputs` must be a positive width, a TabularFeatures table, a KerasTensor or a "
        f"dict of KerasTensors. Received: inputs={inputs!r}"
    )


def as_separate_representations(
    inputs: Any, tasks: Sequence[Task], seed: int | None
) -> tuple[keras.KerasTensor, bool]:
    """As `as_representation`; of a table, embeddings for each task (B, T, D), and True."""
    if not isinstance(inputs, TabularFeatures) or len(tasks) == 1:
        return as_representation(inputs, seed), False
    names = [f"embeddings_{task.name}" for task in tasks]
    own = [inputs.embed(name=name, seed=derive_seed(seed, name)) for name in names]
    return ops.stack(own, axis=-2), True  # (B, T, D)


def build_model(
    representation: keras.KerasTensor | Mapping[str, keras.KerasTensor],
    tasks: Task | str | Iterable[Task | str],
    towers: Towers,
    network: Network,
    name: str,
    shared: bool,
) -> MultiTaskModel:
    """Puts towers and heads on a representation and makes the model.

    Args:
        representation: (B, ..., T, U), a slot a task in the order of `sorted_tasks`; or (B, ..., U)
            where `shared`, for all tasks or by task name.
        tasks: The tasks as the user gave them.
        towers: Towers and heads.
        network: Options of the towers.
        name: Name of the model.
        shared: Whether all tasks read one representation.
    """
    given = as_tasks(tasks)
    stacked = sorted_tasks(given)
    _check_heads(stacked, towers.heads)
    sources = _by_task(representation, stacked)
    outputs: dict[str, keras.KerasTensor] = {}
    for index, task in enumerate(stacked):
        if task.name in towers.heads:
            source = sources[task.name]
            own = source if shared else source[..., index, :]
            outputs[task.name] = towers.heads[task.name](own)
    for position, group in enumerate(_tower_groups(stacked, towers, sources)):
        outputs |= _stacked_towers(stacked, group, network, position, shared)
    outputs = {task.name: outputs[task.name] for task in given}
    return MultiTaskModel(
        inputs=_source_inputs(list(outputs.values())), outputs=outputs, tasks=given, name=name
    )


@dataclass(frozen=True)
class _TowerGroup:
    tasks: list[Task]
    source: keras.KerasTensor
    tower_units: tuple[int, ...]
    units: int


def _by_task(
    representation: keras.KerasTensor | Mapping[str, keras.KerasTensor], tasks: Sequence[Task]
) -> Mapping[str, keras.KerasTensor]:
    if isinstance(representation, Mapping):
        return representation
    return {task.name: representation for task in tasks}


def _tower_groups(
    tasks: Sequence[Task], towers: Towers, sources: Mapping[str, keras.KerasTensor]
) -> list[_TowerGroup]:
    """Tasks that read one tensor and whose towers and logits have the same widths are one stack."""
    groups: dict[tuple[Any, ...], list[Task]] = {}
    for task, units in zip(tasks, per_task("tower_units", tasks, towers.units), strict=True):
        if task.name not in towers.heads:
            widths = check_units("tower_units", units, allow_empty=True)
            key = (id(sources[task.name]), widths, task.units)
            groups.setdefault(key, []).append(task)
    return [
        _TowerGroup(members, sources[members[0].name], *widths)
        for (_, *widths), members in groups.items()
    ]


def _stacked_towers(
    tasks: Sequence[Task],
    group: _TowerGroup,
    network: Network,
    position: int,
    shared: bool,
) -> dict[str, keras.KerasTensor]:
    suffix = f"_{position}" if position else ""
    slots = [tasks.index(task) for task in group.tasks]
    x = group.source
    if not shared and len(slots) < len(tasks):
        x = ops.take(x, slots, axis=-2)  # (B, ..., T, U)
    stacked = not shared
    if group.tower_units:
        x = Experts(
            len(slots),
            group.tower_units,
            input_slots=range(len(slots)) if stacked else None,
            **network.options(f"towers{suffix}"),
        )(x)  # (B, ..., T, U)
        stacked = True
    logits = TaskDense(
        len(slots),
        group.units,
        task_inputs=stacked,
        kernel_regularizer=network.kernel_regularizer,
        seed=derive_seed(network.seed, f"logits{suffix}"),
        dtype="float32",
        name=f"logits{suffix}",
    )(x)  # (B, ..., T, units)
    return {
        task.name: TaskOutput(task, index, activation_of(task))(logits)
        for index, task in enumerate(group.tasks)
    }


def _check_heads(tasks: Sequence[Task], heads: Mapping[str, keras.layers.Layer]) -> None:
    if not isinstance(heads, Mapping):
        raise ValueError(f"Argument `heads` must be a dict by task name. Received: heads={heads!r}")
    check_task_keys("heads", heads, [task.name for task in tasks])
    for name, head in heads.items():
        if not isinstance(head, keras.layers.Layer):
            raise ValueError(f"Argument `heads` must hold layers. Received: {name!r}: {head!r}")


def _source_inputs(outputs: Sequence[keras.KerasTensor]) -> Any:
    """The graph's inputs: one stays a plain tensor, several form a dict by name."""
    # One tensor at a time: Keras, given an input and its descendant, returns the descendant.
    sources = {
        source.name: source
        for output in outputs
        for source in keras.utils.get_source_inputs(output)
    }
    return next(iter(sources.values())) if len(sources) == 1 else sources
