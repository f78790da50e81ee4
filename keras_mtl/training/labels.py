"""From the labels dict of a batch to values, masks and weights, stacked over a group's tasks."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.kinds import missing_marker
from keras_mtl.task import Task
from keras_mtl.training.narrow_labels import narrow_labels, narrows


@dataclass(frozen=True)
class Labels:
    """Labels of a group of tasks, one value an entry.

    Shapes are (B, ..., T, U); multiclass labels, one class a row, have U = 1. `known` is 1.0 where
    an entry has a label that the loss and the metrics may see, `invalid` where its value is outside
    what the task allows; such an entry counts as missing in the step and is reported at the epoch's
    end. `values` are 0 where unknown. `integer` tells whose labels came as integers.
    """

    values: Any
    known: Any
    invalid: Any
    raw: Any
    integer: tuple[bool, ...]

    def where(self, shown: Any) -> "Labels":
        """These labels, missing where `shown` (B, ..., 1, 1) is 0."""
        values = ops.where(shown > 0, self.values, 0.0)
        known, invalid = self.known * shown, self.invalid * shown
        return dataclasses.replace(self, values=values, known=known, invalid=invalid)


def label_of(task: Task, y: Mapping[str, Any]) -> Any:
    """The labels of `task` in `y`.

    Raises:
        ValueError: If `y` has no such labels.
    """
    if y.get(task.name) is None:
        raise ValueError(
            f"Labels must hold every task of the model. Missing: {task.name!r}. Received: {list(y)}"
        )
    return y[task.name]


def column_of(task: Task, name: str, y: Mapping[str, Any]) -> Any:
    """The weight column `name` of `task` in `y`.

    Raises:
        ValueError: If `y` has no such column.
    """
    if y.get(name) is None:
        raise ValueError(
            f"Labels must hold the weight column of task {task.name!r}. "
            f"Missing: {name!r}. Received: {list(y)}"
        )
    return y[name]


def read_labels(
    tasks: Sequence[Task], y: Mapping[str, Any], entry_shape: tuple[Any, ...]
) -> Labels:
    """Labels of `tasks`, whose entries each have `entry_shape` (..., U) behind the batch axis."""
    columns = [_as_entries(task, label_of(task, y), entry_shape) for task in tasks]
    raw, missing = _stack(tasks, columns)
    valid = _is_valid(raw, tasks[0])
    known = ops.logical_and(ops.logical_not(missing), valid)
    values = ops.where(known, raw, ops.zeros_like(raw))
    invalid = ops.logical_not(ops.logical_or(missing, valid))
    known, invalid = ops.cast(known, "float32"), ops.cast(invalid, "float32")
    integer = tuple(not keras.backend.is_float_dtype(column.dtype) for column in columns)
    return Labels(values, known, invalid, raw, integer)


def sum_by_task(entries: Any) -> Any:
    """Sums (T,) of entries (B, ..., T, U)."""
    axes = [axis for axis in range(len(entries.shape)) if axis != len(entries.shape) - 2]
    return ops.sum(entries, axis=axes)  # (T,)


def fill_labels(task: Task, labels: np.ma.MaskedArray) -> np.ndarray:
    """`labels` as a plain array, with what marks a missing label of `task` where masked.

    Raises:
        ValueError: If nothing marks a missing label, and an entry is masked.
    """
    mask = np.ma.getmaskarray(labels)
    if not mask.any():
        return labels.data
    # Unsigned labels have no -1, integers no NaN.
    for dtype in (labels.dtype, *map(np.dtype, ("int64", "float64"))):
        marker = missing_marker(task, dtype.name)
        if marker is not None and np.can_cast(labels.dtype, dtype):
            return np.where(mask, dtype.type(marker), labels.data.astype(dtype))
    raise ValueError(
        f"Labels of task {task.name!r} must have no masked entries, since its `missing` is "
        f"None. Received: {int(mask.sum())} masked"
    )


def row_weights(
    tasks: Sequence[Task], y: Mapping[str, Any], sample_weight: Any, like: Any
) -> Any | None:
    """Sample weights times weight columns, shaped as `like` (B, ..., T, U); None for none."""
    factors = [_weight_factors(task, y, sample_weight) for task in tasks]
    if not any(factors):
        return None
    entries = ops.ones_like(like[..., 0, :])  # (B, ..., U)
    return ops.stack([_product(of_task, entries) for of_task in factors], axis=-2)  # (B, ..., T, U)


def class_weights(task: Task, overrides: Mapping[str, Any]) -> list[float] | None:
    """Weight of every class of `task`, classes that are not named weighing 1."""
    weights = overrides.get(task.name, task.class_weight)
    if weights is None:
        return None
    classes = max(2, task.units)
    return [float(weights.get(label, 1.0)) for label in range(classes)]


def _as_entries(task: Task, label: Any, entry_shape: tuple[Any, ...]) -> Any:
    if isinstance(label, np.ma.MaskedArray):
        label = fill_labels(task, label)
    if isinstance(label, np.ndarray) and narrows():
        label = narrow_labels(task, label)
    label = ops.convert_to_tensor(label)
    rank = len(entry_shape) + 1
    if len(label.shape) == rank - 1 and entry_shape[-1] == 1:
        label = ops.expand_dims(label, -1)  # (B, ..., 1)
    fits = len(label.shape) == rank and all(
        want is None or have is None or want == have
        for want, have in zip(entry_shape, label.shape[1:], strict=True)
    )
    if not fits:
        wanted = ", ".join(["B", *("?" if size is None else str(size) for size in entry_shape)])
        raise ValueError(
            f"Labels of task {task.name!r} must have shape ({wanted}){_or_flat(entry_shape)}. "
            f"Received: shape={tuple(label.shape)}"
        )
    return label


def _or_flat(entry_shape: tuple[Any, ...]) -> str:
    return ", its last axis may be left out" if entry_shape[-1] == 1 else ""


def _stack(tasks: Sequence[Task], columns: Sequence[Any]) -> tuple[Any, Any]:
    """Labels as float32, and which are missing by their own dtype; both (B, ..., T, U)."""
    dtypes = {keras.backend.standardize_dtype(column.dtype) for column in columns}
    if len(dtypes) > 1:
        parts = [_stack([task], [column]) for task, column in zip(tasks, columns, strict=True)]
        raw, missing = (ops.concatenate(part, axis=-2) for part in zip(*parts, strict=True))
        return raw, missing
    own = ops.stack(columns, axis=-2)  # (B, ..., T, U)
    markers = [missing_marker(task, *dtypes) for task in tasks]
    return ops.cast(own, "float32"), _equals(own, markers)


def _equals(labels: Any, markers: Sequence[float | None]) -> Any:
    """Where `labels` (B, ..., T, U) are the markers of their tasks."""
    by_nan = [marker is not None and math.isnan(marker) for marker in markers]
    by_number = [marker is not None and not math.isnan(marker) for marker in markers]
    missing = ops.zeros_like(labels, dtype="bool")  # (B, ..., T, U)
    if any(by_nan):
        missing = ops.logical_and(ops.isnan(labels), _by_task(by_nan, "bool"))
    if any(by_number):
        numbers = [marker if one else 0 for marker, one in zip(markers, by_number, strict=True)]
        equal = ops.equal(labels, _by_task(numbers, labels.dtype))
        missing = ops.logical_or(missing, ops.logical_and(equal, _by_task(by_number, "bool")))
    return missing


def _by_task(values: Sequence[Any], dtype: Any) -> Any:
    """(T, 1), exact in `dtype`: integers do not become floats on the way."""
    dtype = keras.backend.standardize_dtype(dtype)
    return ops.convert_to_tensor(np.array(values, dtype)[:, None])


def _is_valid(raw: Any, task: Task) -> Any:
    """Tasks of a group share kind and units, so any of them tells what a label may be."""
    if task.kind == "regression":
        return ops.isfinite(raw)
    if task.kind == "multiclass":
        in_range = ops.logical_and(raw >= 0, raw < task.units)
        return ops.logical_and(in_range, raw == ops.floor(raw))
    return ops.logical_and(raw >= 0, raw <= 1)


def _weight_factors(task: Task, y: Mapping[str, Any], sample_weight: Any) -> list[Any]:
    given = sample_weight.get(task.name) if isinstance(sample_weight, Mapping) else sample_weight
    factors = [] if given is None else [given]
    factors += [column_of(task, name, y) for name in task.weight_column or ()]
    return factors


def _product(factors: Sequence[Any], entries: Any) -> Any:
    """Weights of rows, pixels or entries multiplied into `entries` (B, ..., U)."""
    for factor in factors:
        factor = ops.cast(ops.convert_to_tensor(factor), "float32")
        for _ in range(len(entries.shape) - len(factor.shape)):
            factor = ops.expand_dims(factor, -1)
        entries = entries * factor  # (B, ..., U)
    return entries
