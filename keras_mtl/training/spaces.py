"""Sample spaces: on which rows a task that depends on another one exists."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_mtl.task import Task
from keras_mtl.training.labels import read_labels


def existence(chain: Sequence[Task], y: Mapping[str, Any], like: Any) -> Any:
    """1.0 on the entries of `like` (B, ..., U) in whose row every task of `chain` is known to be 1.

    An unknown parent leaves the row out.
    """
    exists = ops.ones_like(like)  # (B, ..., U)
    for parent in chain:
        labels = read_labels([parent], y, (1,))
        rows = labels.known * ops.cast(labels.values == 1, "float32")  # (B, 1, 1)
        exists = exists * ops.reshape(rows, (-1, *[1] * (len(like.shape) - 1)))
    return exists


def joint_labels(chain: Sequence[Task], y: Mapping[str, Any]) -> tuple[Any, Any]:
    """Label and mask of "all tasks of `chain` are 1", root first; both (B, 1).

    A known 0 anywhere decides the product, whatever is missing after it.
    """
    alive: Any = 1.0
    decided: Any = 0.0
    for task in chain:
        labels = read_labels([task], y, (1,))
        known = labels.known[:, 0]  # (B, 1)
        value = ops.cast(labels.values[:, 0] == 1, "float32")  # (B, 1)
        decided = decided + alive * known * (1.0 - value)
        alive = alive * known * value
    return alive, decided + alive
