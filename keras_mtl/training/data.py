"""What `fit` and `evaluate` hand to Keras: labels by name, complete weights, checked values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.checks import check_task_keys
from keras_mtl.task import Task
from keras_mtl.training.labels import label_of


def as_label_dict(tasks: Sequence[Task], y: Any) -> Any:
    """`y` by task name; a model of one task also takes its plain array."""
    if isinstance(y, Mapping) or y is None:
        return y
    if len(tasks) == 1:
        return {tasks[0].name: y}
    raise ValueError(
        "Labels of a model with several tasks must be a dict by task name. "
        f"Received: y of type {type(y).__name__}, tasks={[task.name for task in tasks]}"
    )


def prepare_arrays(
    tasks: Sequence[Task], shapes: Mapping[str, tuple[Any, ...]], y: Any, sample_weight: Any
) -> tuple[dict[str, Any], Any]:
    """Labels and sample weights held in arrays, as Keras' array adapter takes them.

    Columns that no task reads are left out, every label is checked against its task, and weights
    that are given for some tasks only are completed with ones.

    Args:
        tasks: The model's tasks.
        shapes: Output shape of every task.
        y: Labels.
        sample_weight: None, one array for all tasks, or a dict of arrays by task name.
    """
    y = as_label_dict(tasks, y)
    for task in tasks:
        check_array(task, np.asarray(label_of(task, y)), shapes[task.name])
    names = {task.name for task in tasks} | {c for task in tasks for c in task.weight_column or ()}
    kept = {name: np.asarray(y[name]) for name in names if name in y}
    return kept, _complete_weights(tasks, kept, sample_weight)


def check_array(task: Task, labels: np.ndarray, output_shape: tuple[Any, ...]) -> None:
    """Raises `ValueError` if labels have a shape or values that their task does not allow."""
    if labels.dtype.kind not in "fiub":
        raise ValueError(
            f"Labels of task {task.name!r} must be numbers. Received: dtype={labels.dtype}"
        )
    units = 1 if task.kind == "multiclass" else output_shape[-1]
    entry_shape = (*output_shape[1:-1], units)
    shapes = [entry_shape, entry_shape[:-1]] if units == 1 else [entry_shape]
    if not any(_fits(labels.shape[1:], shape) for shape in shapes):
        wanted = " or ".join(str(("B", *shape)).replace("'", "") for shape in shapes)
        raise ValueError(
            f"Labels of task {task.name!r} must have shape {wanted}. Received: shape={labels.shape}"
        )
    known = labels[~_missing(task, labels)]
    allowed, words = _allowed(task, known)
    if not allowed.all():
        raise ValueError(
            f"Labels of task {task.name!r} must be {words} or marked missing. "
            f"Received: {known[~allowed][0]} in {int((~allowed).sum())} of {labels.size} labels"
        )


def _fits(shape: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        want is None or want == have for want, have in zip(wanted, shape, strict=True)
    )


def _missing(task: Task, labels: np.ndarray) -> np.ndarray:
    if task.missing is None:
        return np.zeros(labels.shape, bool)
    if task.missing != "auto":
        return labels == task.missing
    return np.isnan(labels) if labels.dtype.kind == "f" else labels == -1


def _allowed(task: Task, known: np.ndarray) -> tuple[np.ndarray, str]:
    if task.kind == "regression":
        return np.isfinite(known), "finite"
    if task.kind == "multiclass":
        in_range = (known >= 0) & (known < task.units) & (known == np.floor(known))
        return in_range, f"classes in [0, {task.units})"
    return (known >= 0) & (known <= 1), "in [0, 1]"


def _complete_weights(
    tasks: Sequence[Task], y: Mapping[str, np.ndarray], sample_weight: Any
) -> Any:
    if not isinstance(sample_weight, Mapping):
        return sample_weight
    names = [task.name for task in tasks]
    check_task_keys("sample_weight", sample_weight, names)
    ones = np.ones(len(next(iter(y.values()))), "float32")
    return {name: sample_weight.get(name, ones) for name in y}
