"""Figures of a task: which one counts, which way is up, and exact ranking in NumPy."""

import numpy as np

from keras_mtl.kinds import is_missing
from keras_mtl.task import Task
from keras_mtl.training.figures import by_task, lower_is_better, primary_metric

__all__ = ["by_task", "exact_auc", "known_rows", "lower_is_better", "primary_metric"]


def exact_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve as the share of ordered pairs, ties counting one half.

    `AUC = (sum of the ranks of the positives - P (P + 1) / 2) / (P N)` with P positives and N
    negatives.

    Example:
        >>> exact_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
        0.75
    """
    positive = labels == 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle_ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(middle_ranks[inverse][positive].sum())
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def known_rows(task: Task, truth: np.ndarray) -> np.ndarray:
    """Which entries have a label, by the task's mark of a missing one.

    Example:
        >>> known_rows(Task("a"), np.array([1, -1, 0]))
        array([ True, False,  True])
    """
    return ~is_missing(task, truth)
