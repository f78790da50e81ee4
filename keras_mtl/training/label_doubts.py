"""Labels that a task allows, but that may not mean what it takes them for."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_mtl.masked_numbers import masked_numbers
from keras_mtl.task import Task
from keras_mtl.training.data import as_label_dict
from keras_mtl.training.groups import TaskGroup
from keras_mtl.training.labels import Labels, sum_by_task
from keras_mtl.training.spaces import contradictions


def doubts_of(group: TaskGroup, labels: Labels, y: Mapping[str, Any]) -> Any | None:
    """Counts (3, T) over a batch; None where the group's labels cannot be doubtful.

    They are: labels of 1 where a task that is `given` is 0; of integer regression labels without a
    marker, those of -1, and those of any other negative value.
    """
    none = ops.zeros((len(group.tasks),))  # (T,)
    if group.kind in ("binary", "multilabel") and any(group.chains):
        return ops.stack([contradictions(group.chains, y, labels), none, none])
    unmarked = [
        integer and task.missing == "auto"
        for integer, task in zip(labels.integer, group.tasks, strict=True)
    ]
    if group.kind != "regression" or not any(unmarked):
        return None
    read = labels.known * ops.array(unmarked, dtype="float32")[:, None]  # (B, ..., T, U)
    minus_one = ops.cast(labels.values == -1, "float32")
    negative = ops.cast(labels.values < 0, "float32")
    counts = (sum_by_task(read * minus_one), sum_by_task(read * (negative - minus_one)))
    return ops.stack([none, *counts])


def warn_of_doubts(names: Sequence[str], doubts: np.ndarray, told: set[tuple[str, str]]) -> None:
    """Warns of each task's doubtful labels (3, T), once for each pair that is not in `told`."""
    for name, (contradicting, minus_ones, negatives) in zip(names, doubts.T, strict=True):
        if contradicting and _is_news(told, "given", name):
            warnings.warn(
                f"Labels of task {name!r} contradict what it is given: {int(contradicting)} are 1 "
                "where a task of its `given` chain is 0. The task does not exist there: they are "
                'left out, and count as 0 in a product over all rows (`trained_on="all"`).',
                stacklevel=2,
            )
        if minus_ones and not negatives and _is_news(told, "-1", name):
            _warn_of_minus_ones(name, int(minus_ones))


def warn_of_masked(tasks: Sequence[Task], y: Any = None) -> None:
    """Warns of -1 in integer regression labels with holes, as `warn_of_doubts` in those without.

    A step has them as floats, in which NaN marks the holes.
    """
    y = {} if y is None else as_label_dict(tasks, y)
    for task in tasks:
        if task.kind != "regression" or task.missing != "auto" or y.get(task.name) is None:
            continue
        labels = masked_numbers(f"Labels of task {task.name!r}", y[task.name])
        if labels.dtype.kind != "i" or not np.ma.is_masked(labels):
            continue
        negative = labels[labels < 0].compressed()
        if np.any(negative) and np.all(negative == -1):
            _warn_of_minus_ones(task.name, len(negative))


def _warn_of_minus_ones(name: str, number: int) -> None:
    warnings.warn(
        f"The only negative value among the integer labels of the regression task {name!r} "
        f"is -1, in {number} labels, which count. Where it marks a missing label, "
        "give `Task(missing=-1)`.",
        stacklevel=3,
    )


def _is_news(told: set[tuple[str, str]], what: str, name: str) -> bool:
    news = (what, name) not in told
    told.add((what, name))
    return news
