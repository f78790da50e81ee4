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
    """Draws labels, missing unevenly: a half of each 8 rows, a replica's share, has few of them.

    In the other half every task has labels of two classes in rows where it exists. No label is 1
    where the task does not exist.
    """
    ordered = sorted(tasks, key=lambda task: task.name)
    depths = {task.name: _depth(task, {other.name: other for other in ordered}) for task in ordered}

    def draw(rows: int, seed: int) -> Arrays:
        generator = np.random.default_rng(seed + 100)
        place = np.arange(rows) % 8
        drawn = {}
        for index, task in enumerate(ordered):
            missing = generator.random(rows) < 0.2
            missing |= (place < 4) & (index % 2 == 0)
            values = _values_of(task, rows, generator)
            for step in range(max(depths.values()) + 2):
                # In this row what is less deep than `step` is 1, all else 0.
                _plant(values, missing, place == 4 + step, int(depths[task.name] < step))
            drawn[task.name] = _marked(task, values, missing)
            for column in [*(task.weight_column or ()), *filter(None, [task.group_column])]:
                drawn[column] = generator.integers(1, 4, rows)
        for task in sorted(ordered, key=lambda task: depths[task.name]):
            if task.kind == "binary" and task.given is not None:
                drawn[task.name][(drawn[task.given] == 0) & (drawn[task.name] == 1)] = 0
        return drawn

    return draw


def _depth(task: Task, by_name: dict[str, Task]) -> int:
    """Number of tasks that it depends on."""
    return 0 if task.given is None else 1 + _depth(by_name[task.given], by_name)


def _values_of(task: Task, rows: int, generator: np.random.Generator) -> np.ndarray:
    columns = (task.units,) if task.kind in ("multilabel", "regression") else ()
    if task.kind == "regression":
        return generator.normal(size=(rows, *columns)).astype("float32")
    return generator.integers(0, task.units if task.kind == "multiclass" else 2, (rows, *columns))


def _plant(values: np.ndarray, missing: np.ndarray, rows: np.ndarray, label: int) -> None:
    """Puts a label into `rows`, where classes can be told, and lets none be missing there."""
    missing[rows] = False
    if values.dtype.kind == "i":
        values[rows] = label


def _marked(task: Task, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    by_nan = values.dtype.kind == "f"
    mark = (np.nan if by_nan else -1) if task.missing == "auto" else task.missing
    if mark is not None:
        values[missing] = mark
    return values


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
