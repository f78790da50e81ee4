"""What `fit` and `evaluate` hand to Keras: labels by name, complete weights, checked values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.kinds import check_marker, is_missing
from keras_mtl.masked_numbers import masked_numbers
from keras_mtl.task import Task, given_chain
from keras_mtl.training.inputs import row_count
from keras_mtl.training.labels import column_of, fill_labels, label_of
from keras_mtl.training.narrow_labels import narrow_labels
from keras_mtl.training.sample_weights import check_row_weights, prepare_sample_weights


def as_label_dict(tasks: Sequence[Task], y: Any) -> Any:
    """`y` by task name; a model of one task also takes its plain array."""
    if isinstance(y, Mapping):
        return y
    columns = getattr(y, "columns", ())
    if any(task.name in columns for task in tasks):
        return {name: y[name] for name in columns}
    if len(tasks) == 1 and y is not None:
        return {tasks[0].name: y}
    raise ValueError(
        "Labels must be a dict by task name. "
        f"Received: y of type {type(y).__name__}, tasks={[task.name for task in tasks]}"
    )


def prepare_arrays(
    tasks: Sequence[Task],
    shapes: Mapping[str, tuple[Any, ...]],
    x: Any,
    y: Any,
    sample_weight: Any,
) -> tuple[dict[str, Any], Any]:
    """Labels and sample weights held in arrays, as Keras' array adapter takes them.

    Columns that no task reads are left out, every label is checked against its task, and weights
    that are given for some tasks only are completed with ones. Weights must be finite where there
    is a label.

    Args:
        tasks: The model's tasks.
        shapes: Output shape of every task.
        x: Prepared inputs.
        y: Labels.
        sample_weight: None, one array for all tasks, or a dict of arrays by task name.
    """
    y = as_label_dict(tasks, y)
    labels = {task.name: filled_labels(task, label_of(task, y)) for task in tasks}
    for task in tasks:
        check_array(task, labels[task.name], shapes[task.name])
    check_rows(x, labels)
    known = {task.name: _counted(task, tasks, labels, shapes) for task in tasks}
    weights = {
        column: check_row_weights(
            f"Weight column {column!r}", column_of(task, column, y), known[task.name]
        )
        for task in tasks
        for column in task.weight_column or ()
    }
    narrow = {task.name: narrow_labels(task, labels[task.name]) for task in tasks}
    kept = {**narrow, **weights}
    prepared = prepare_sample_weights(sample_weight, known)
    if isinstance(prepared, Mapping):  # Keras wants weights for whatever stands in `y`
        prepared = {**dict.fromkeys(kept, np.ones(len(kept[tasks[0].name]))), **prepared}
    return kept, prepared


def check_rows(x: Any, y: Mapping[str, np.ndarray]) -> None:
    """Raises `ValueError` unless inputs and labels have one number of rows."""
    inputs = {"x": row_count(x)} if row_count(x) is not None else {}
    rows = inputs | {name: len(column) for name, column in y.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"Inputs and labels must have one number of rows. Received: {rows}")


def check_array(task: Task, labels: np.ndarray, output_shape: tuple[Any, ...]) -> None:
    """Raises `ValueError` if labels have a shape or values that their task does not allow."""
    units = 1 if task.kind == "multiclass" else output_shape[-1]
    entry_shape = (*output_shape[1:-1], units)
    shapes = [entry_shape, entry_shape[:-1]] if units == 1 else [entry_shape]
    if not labels.ndim or not any(_fits(labels.shape[1:], shape) for shape in shapes):
        wanted = " or ".join(str(("B", *shape)).replace("'", "") for shape in shapes)
        raise ValueError(
            f"Labels of task {task.name!r} must have shape {wanted}. Received: shape={labels.shape}"
        )
    check_marker(task, labels.dtype.name)
    known = labels[~is_missing(task, labels)]
    allowed, words = _allowed(task, known)
    if not allowed.all():
        raise ValueError(
            f"Labels of task {task.name!r} must be {words} or marked missing. "
            f"Received: {known[~allowed][0]} in {int((~allowed).sum())} of {labels.size} labels"
        )


def filled_labels(task: Task, column: Any) -> np.ndarray:
    """A task's labels as a plain array, marked missing where they were masked."""
    return fill_labels(task, masked_numbers(f"Labels of task {task.name!r}", column))


def _fits(shape: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        want is None or want == have for want, have in zip(wanted, shape, strict=True)
    )


def _counted(
    task: Task,
    tasks: Sequence[Task],
    labels: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[Any, ...]],
) -> np.ndarray:
    """Which labels are known, and in a row where the task exists; (B, ..., U).

    Of a task that is trained on all rows: in which rows its product with its parents is known.
    """
    own = labels[task.name]
    known = ~is_missing(task, own)
    known = known.reshape(*own.shape, *[1] * (len(shapes[task.name]) - own.ndim))
    alive, decided = np.ones(len(own), bool), np.zeros(len(own), bool)
    for parent in reversed(given_chain(task, {other.name: other for other in tasks})):
        column = labels[parent.name].reshape(-1)
        seen, is_one = ~is_missing(parent, column), column == 1
        decided |= alive & seen & ~is_one
        alive &= seen & is_one
    counted = known & _as_rows(alive, known)
    return counted | _as_rows(decided, known) if task.trained_on == "all" else counted


def _as_rows(rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Rows (B,) as the first axis of `like`."""
    return rows.reshape(-1, *[1] * (like.ndim - 1))


def plain_labels(tasks: Sequence[Task], labels: Mapping[str, Any]) -> dict[str, Any]:
    """`labels` with those of `tasks` as plain arrays, marked where they were masked."""
    return {
        **labels,
        **{t.name: filled_labels(t, labels[t.name]) for t in tasks if t.name in labels},
    }


def _allowed(task: Task, known: np.ndarray) -> tuple[np.ndarray, str]:
    if task.kind == "regression":
        with np.errstate(over="ignore"):
            return np.isfinite(known.astype("float32")), "finite"
    if task.kind == "multiclass":
        in_range = (known >= 0) & (known < task.units) & (known == np.floor(known))
        return in_range, f"classes in [0, {task.units})"
    return (known >= 0) & (known <= 1), "in [0, 1]"
