"""Figures of a task: which one counts, which way is up, and exact ranking in NumPy."""

from collections.abc import Iterable, Mapping

import numpy as np

from keras_mtl.kinds import is_missing
from keras_mtl.task import Task

_PRIMARY = {"binary": "auc", "multiclass": "accuracy", "multilabel": "auc", "regression": "mse"}
_ERRORS = ("loss", "mse", "mae", "rmse", "error", "entropy", "deviance")


def by_task(logs: Mapping[str, float], names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Logs `income_auc`, `income_loss`, ... as `{"income": {"auc": ..., "loss": ...}}`.

    Example:
        >>> by_task({"loss": 3.0, "a_loss": 1.0, "a_b_loss": 2.0}, ["a", "a_b"])
        {'a': {'loss': 1.0}, 'a_b': {'loss': 2.0}}
    """
    longest_first = sorted(names, key=len, reverse=True)
    found: dict[str, dict[str, float]] = {name: {} for name in sorted(longest_first)}
    for key, value in logs.items():
        owner = next((name for name in longest_first if key.startswith(f"{name}_")), None)
        if owner is not None:
            found[owner][key[len(owner) + 1 :]] = float(value)
    return found


def primary_metric(task: Task, metrics: Iterable[str]) -> str:
    """What a task is judged by: its kind's own metric, else the first, else the loss."""
    metrics = list(metrics)
    if _PRIMARY[task.kind] in metrics:
        return _PRIMARY[task.kind]
    return next((metric for metric in metrics if metric != "loss"), "loss")


def lower_is_better(metric: str) -> bool:
    """Whether a figure is an error: losses, deviations.

    Example:
        >>> lower_is_better("mse"), lower_is_better("auc")
        (True, False)
    """
    return any(word in metric.lower() for word in _ERRORS)


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
