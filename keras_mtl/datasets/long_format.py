"""Labels from long format: a row of a table is one label, of one task."""

from typing import Any

import numpy as np

from keras_mtl.checks import check_positive
from keras_mtl.masked_numbers import check_unmasked, masked_numbers


def labels_from_long(rows: Any, tasks: Any, values: Any, num_rows: int) -> dict[str, np.ndarray]:
    """Labels by task name, as `fit` takes them, from one entry a label.

    `labels[tasks[i]][rows[i]] = values[i]`, and NaN, a missing label, everywhere else. So hundreds
    of tasks, each labelled on rows of its own, need no loop.

    Args:
        rows: Integers (N,) in [0, num_rows): the row of each label among the inputs.
        tasks: Names or integers (N,): the task of each label. An integer task 7 is named `"7"`.
        values: Numbers (N,): the labels. One that is masked, None or NaN is missing.
        num_rows: Rows of the inputs.

    Returns:
        A dict of arrays (num_rows,), float32, in the order of the tasks' names or integers.

    Raises:
        ValueError: If arguments are not of one length or kind, `rows` or `tasks` hold masked ones,
            a row is out of range, or a task has two labels in a row.

    Example:

    >>> labels = labels_from_long([0, 2, 2], ["maths", "maths", "art"], [1, 0, 1], num_rows=3)
    >>> {task: column.tolist() for task, column in labels.items()}
    {'art': [nan, nan, 1.0], 'maths': [1.0, nan, 0.0]}
    """
    num_rows = check_positive("num_rows", num_rows)
    check_unmasked("Argument `rows`", rows)
    check_unmasked("Argument `tasks`", tasks)
    names, task_of_label = np.unique(_tasks(tasks), return_inverse=True)
    row_of_label = _rows(rows, num_rows)
    numbers = masked_numbers("Argument `values`", values)
    lengths = [array.shape for array in (row_of_label, task_of_label, numbers)]
    if len(set(lengths)) > 1 or numbers.ndim != 1:
        raise ValueError(
            "Arguments `rows`, `tasks` and `values` must have one shape (N,). "
            f"Received: shapes={lengths}"
        )
    _check_unique(names, task_of_label, row_of_label, num_rows)
    labels = np.full((len(names), num_rows), np.nan, "float32")  # (T, B)
    labels[task_of_label, row_of_label] = np.ma.filled(numbers.astype("float32"), np.nan)
    return {str(name): column for name, column in zip(names, labels, strict=True)}


def _tasks(tasks: Any) -> np.ndarray:
    """Names as strings, or integers."""
    array = np.asarray(tasks)
    if array.dtype == object and all(isinstance(name, str) for name in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "iuUT" and array.size:
        raise ValueError(
            f"Argument `tasks` must hold names or integers. Received: dtype={array.dtype}"
        )
    return array


def _rows(rows: Any, num_rows: int) -> np.ndarray:
    array = np.asarray(rows)
    if array.size == 0:
        return array.astype("int64")
    if array.dtype.kind not in "iu":
        raise ValueError(f"Argument `rows` must hold integers. Received: dtype={array.dtype}")
    if not 0 <= array.min() <= array.max() < num_rows:
        raise ValueError(
            f"Argument `rows` must be in [0, num_rows). "
            f"Received: rows from {array.min()} to {array.max()}, num_rows={num_rows}"
        )
    return array.astype("int64")


def _check_unique(
    names: np.ndarray, task_of_label: np.ndarray, row_of_label: np.ndarray, num_rows: int
) -> None:
    """Raises `ValueError` if a task has two labels in a row."""
    places = task_of_label * num_rows + row_of_label
    found, counts = np.unique(places, return_counts=True)
    twice = found[counts > 1]
    if twice.size:
        task, row = divmod(int(twice[0]), num_rows)
        raise ValueError(
            "A task must have at most one label in a row. "
            f"Received: {int(counts[counts > 1][0])} labels of task {str(names[task])!r} in row "
            f"{row}, and {twice.size - 1} more such pairs"
        )
