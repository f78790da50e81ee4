"""Logged figures: whose they are, which of a task's counts most, which way is up."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

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
        owner = owner_of(key, longest_first)
        if owner is not None:
            found[owner][key[len(owner) + 1 :]] = float(value)
    return found


def owner_of(key: str, longest_first: Iterable[str]) -> str | None:
    """The task whose figure `key` names; None for a figure of no task."""
    return next((name for name in longest_first if key.startswith(f"{name}_")), None)


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


def mean_of_main(tasks: Sequence[Task], figures: Mapping[str, Mapping[str, float]]) -> float:
    """The tasks' mean main metric, errors negated; over those that exist, NaN where none does."""
    main = []
    for task in tasks:
        metric = primary_metric(task, figures[task.name])
        value = figures[task.name].get(metric, np.nan)
        main.append(-value if lower_is_better(metric) else value)
    return existing_mean(main)


def existing_mean(values: Sequence[float]) -> float:
    """The mean of those that are not NaN; NaN where none is.

    Example:
        >>> existing_mean([1.0, float("nan"), 2.0])
        1.5
    """
    existing = [value for value in values if not np.isnan(value)]
    return float(np.mean(existing)) if existing else float("nan")
