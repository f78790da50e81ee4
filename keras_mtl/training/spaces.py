"""Sample spaces: on which rows a task that depends on another one exists."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl.task import Task
from keras_mtl.training.labels import read_labels


def existence(chain: Sequence[Task], y: Mapping[str, Any]) -> Any:
    """1.0 on the rows where every task of `chain` is known to be 1, (B, 1)."""
    rows: Any = 1.0
    for parent in chain:
        labels = read_labels([parent], y, (1,))
        rows = rows * (labels.known * labels.values)[:, 0]  # (B, 1)
    return rows


def joint_labels(chain: Sequence[Task], y: Mapping[str, Any]) -> tuple[Any, Any]:
    """Label and mask of "all tasks of `chain` are 1", root first; both (B, 1).

    A known 0 anywhere decides the product, whatever is missing after it.
    """
    alive: Any = 1.0
    decided: Any = 0.0
    for task in chain:
        labels = read_labels([task], y, (1,))
        known, value = labels.known[:, 0], labels.values[:, 0]  # (B, 1)
        decided = decided + alive * known * (1.0 - value)
        alive = alive * known * value
    return alive, decided + alive
