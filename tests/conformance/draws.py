"""Inputs and labels of a case, drawn from its model's inputs and tasks."""

from collections.abc import Callable, Iterable

import numpy as np

from keras_mtl import Task

Arrays = dict[str, np.ndarray]


def numbers(*row: int) -> Callable[[int, int], np.ndarray]:
    """Draws rows of this shape."""
    return lambda rows, seed: (
        np.random.default_rng(seed).normal(size=(rows, *row)).astype("float32")
    )


def labels(tasks: Iterable[Task]) -> Callable[[int, int], Arrays]:
    """Draws labels, missing unevenly: a half of each 8 rows, a replica's share, has few of them."""
    ordered = sorted(tasks, key=lambda task: task.name)

    def draw(rows: int, seed: int) -> Arrays:
        generator = np.random.default_rng(seed + 100)
        drawn = {}
        for index, task in enumerate(ordered):
            missing = generator.random(rows) < 0.2
            missing |= (np.arange(rows) % 8 < 4) & (index % 2 == 0)
            drawn[task.name] = _labels_of(task, missing, generator)
            for column in [*(task.weight_column or ()), *filter(None, [task.group_column])]:
                drawn[column] = generator.integers(1, 4, rows)
        return drawn

    return draw


def _labels_of(task: Task, missing: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    columns = (task.units,) if task.kind in ("multilabel", "regression") else ()
    if task.kind == "regression":
        drawn = generator.normal(size=(len(missing), *columns)).astype("float32")
        mark = np.nan if task.missing == "auto" else task.missing
    else:
        classes = task.units if task.kind == "multiclass" else 2
        drawn = generator.integers(0, classes, (len(missing), *columns))
        mark = -1 if task.missing == "auto" else task.missing
    if mark is not None:
        drawn[missing] = mark
    return drawn


def ids(length: int, size: int) -> Callable[[int, int], np.ndarray]:
    """Draws sequences of ids, padded with 0 on the right; some are padding alone."""

    def draw(rows: int, seed: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        drawn = generator.integers(1, size, (rows, length))
        lengths = generator.integers(0, length + 1, (rows, 1))
        return np.where(np.arange(length) < lengths, drawn, 0).astype("int32")

    return draw


def token_labels(tasks: Iterable[Task], length: int) -> Callable[[int, int], Arrays]:
    """Draws a class for every token, some of them missing."""

    def draw(rows: int, seed: int) -> Arrays:
        generator = np.random.default_rng(seed + 100)
        return {
            task.name: generator.integers(-1, task.units, (rows, length))
            for task in sorted(tasks, key=lambda task: task.name)
        }

    return draw
