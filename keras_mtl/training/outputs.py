"""Outputs that bear their tasks: what makes a graph a multi-task model."""

from collections.abc import Mapping, Set
from itertools import chain, count
from typing import Any

import keras

from keras_mtl.layers.task_output import TaskOutput
from keras_mtl.task import Task
from keras_mtl.training.heads import task_output_of
from keras_mtl.training.logits import calls_behind


def graph_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Inputs, outputs and the rest of the arguments that a model was made with."""
    names = ("inputs", "outputs")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    outputs = given.get("outputs")
    tensors = isinstance(outputs, Mapping) and all(
        isinstance(output, keras.KerasTensor) for output in outputs.values()
    )
    if "inputs" not in given or not tensors or not outputs:
        raise ValueError(
            "A MultiTaskModel must be given `inputs` and a dict of `outputs` by task name. "
            f"Received: {given}"
        )
    return given.pop("inputs"), dict(given.pop("outputs")), given


def bear_tasks(
    tasks: list[Task], outputs: Mapping[str, keras.KerasTensor]
) -> dict[str, keras.KerasTensor]:
    """`outputs` in the tasks' order, each made by a `TaskOutput` that holds its task.

    Raises:
        ValueError: If names or widths of outputs and tasks do not match.
    """
    names = [task.name for task in tasks]
    if set(names) != set(outputs):
        raise ValueError(
            f"Argument `outputs` must be keyed by the tasks' names. "
            f"Received: outputs={sorted(outputs)}, tasks={sorted(names)}"
        )
    for task in tasks:
        shape = outputs[task.name].shape
        if len(shape) < 2 or shape[-1] != task.units:
            raise ValueError(
                f"The output of task {task.name!r} must have shape (B, ..., {task.units}). "
                f"Received: shape={shape}"
            )
    taken = {operation.name for operation, _ in calls_behind(outputs.values())} | {*names}
    return {task.name: _borne(task, outputs[task.name], taken) for task in tasks}


def _borne(task: Task, output: keras.KerasTensor, taken: Set[str]) -> keras.KerasTensor:
    head = task_output_of(output)
    if head is not None and head.task == task:
        return output
    if head is not None and head.task.kind == task.kind:
        # Another model's head: this one must see the logits too.
        _, node_index, _ = output._keras_history
        (logits,) = head._inbound_nodes[node_index].input_tensors
        return TaskOutput(task, head.index, head.activation)(logits)
    if output._keras_history.operation.name != task.name:
        return TaskOutput(task, name=task.name)(output)
    first = f"{task.name}_output"
    names = chain([first], (f"{first}_{number}" for number in count(1)))
    return TaskOutput(task, name=next(name for name in names if name not in taken))(output)


def tasks_of(outputs: Mapping[str, keras.KerasTensor]) -> list[Task]:
    """The tasks that `outputs` bear.

    Raises:
        ValueError: If an output bears none.
    """
    heads = {name: task_output_of(output) for name, output in outputs.items()}
    without = [name for name, head in heads.items() if head is None]
    if without:
        raise ValueError(
            "Argument `tasks` must be given with outputs that hold none. "
            f"Received: outputs={without}"
        )
    return [head.task for head in heads.values() if head is not None]


def check_names(outputs: Mapping[str, keras.KerasTensor]) -> None:
    """A task's name belongs to its head alone.

    Raises:
        ValueError: If an input or another layer bears it.
    """
    for operation, _ in calls_behind(outputs.values()):
        output = outputs.get(operation.name)
        if output is not None and operation is not _bearer(operation.name, output):
            raise ValueError(
                "A task must not bear the name of an input or of a layer. "
                f"Received: {operation.name!r}"
            )


def _bearer(name: str, output: keras.KerasTensor) -> Any:
    """The operation that may bear the name of a task: the last, or else the last but one."""
    operation, node_index, _ = output._keras_history
    if operation.name == name:
        return operation
    return operation._inbound_nodes[node_index].input_tensors[0]._keras_history.operation
