"""Sample spaces: on which rows a task that depends on another one exists."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from keras_mtl.task import JOINT_SUFFIX, Task, given_chain
from keras_mtl.training.labels import Labels, read_labels, sum_by_task


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


def contradictions(chains: Sequence[Sequence[Task]], y: Mapping[str, Any], labels: Labels) -> Any:
    """How many labels are 1 where a task of their chain is known to be 0; (T,).

    Args:
        chains: What each task of `labels` is given.
        y: Labels by task.
        labels: Labels of binary or multilabel tasks.
    """
    parents = {parent.name: parent for chain in chains for parent in chain}
    of_parents = read_labels(list(parents.values()), y, (1,))  # (B, N, 1)
    refuted = of_parents.known * ops.cast(of_parents.values == 0, "float32")
    above = [[float(name in [p.name for p in chain]) for chain in chains] for name in parents]
    nowhere = ops.matmul(refuted[..., 0], ops.array(above, dtype="float32")) > 0  # (B, T)
    between = [1] * (len(labels.values.shape) - 3)
    nowhere = ops.reshape(nowhere, (-1, *between, len(chains), 1))  # (B, ..., T, 1)
    ones = ops.logical_and(labels.values == 1, nowhere)
    return sum_by_task(ops.cast(ones, "float32") * labels.known)


def joint_predictions(tasks: Sequence[Task], predictions: Mapping[str, Any]) -> dict[str, Any]:
    """`predictions` by task name, and by `NAME_joint` the products of tasks trained on all rows."""
    by_name = {task.name: task for task in tasks}
    chains = {
        task.name: [task, *given_chain(task, by_name)] for task in tasks if task.trained_on == "all"
    }
    products = {
        name + JOINT_SUFFIX: math.prod(predictions[link.name] for link in chain)  # (B, 1)
        for name, chain in chains.items()
    }
    return {**predictions, **products}
