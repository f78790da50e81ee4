"""Sample weights held in arrays: by task name, complete, and finite where there is a label."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_mtl.checks import check_task_keys
from keras_mtl.masked_numbers import masked_numbers


def prepare_sample_weights(sample_weight: Any, known: Mapping[str, np.ndarray]) -> Any:
    """Weights as arrays; those given for some tasks only are completed with ones.

    Args:
        sample_weight: None, one array for all tasks, or a dict of arrays by task name.
        known: Of every task, which of its labels are not missing.

    Raises:
        ValueError: If weights are for no task, have a wrong shape or are not finite numbers.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Mapping):
        check_task_keys("sample_weight", sample_weight, list(known))
        return {
            name: np.ones(len(labels), "float32")
            if sample_weight.get(name) is None
            else check_row_weights(_argument(name), sample_weight[name], labels)
            for name, labels in known.items()
        }
    weights = masked_numbers("Argument `sample_weight`", sample_weight)
    if weights.ndim != 1 and len(known) > 1:
        raise ValueError(
            "Argument `sample_weight` must have shape (B,), or be a dict by task name. "
            f"Received: shape={weights.shape}"
        )
    for name, labels in known.items():
        check_row_weights(_argument(name), weights, labels)
    return weights.filled(0)


def check_row_weights(what: str, weights: Any, known: np.ndarray) -> np.ndarray:
    """`weights` of rows, pixels or entries as an array.

    Raises:
        ValueError: If they do not fit the labels, or are NaN, infinite or masked where a label is
            known.
    """
    array = masked_numbers(what, weights)
    shape = known.shape[: array.ndim]
    fits = array.ndim > 0 and len(shape) == array.ndim and len(array) == len(known)
    if not fits or any(
        have not in (1, want) for have, want in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(
            f"{what} must have the shape of the labels or of their first axes. "
            f"Received: shape={array.shape}, labels of shape={known.shape}"
        )
    later = (1,) * (known.ndim - array.ndim)
    with np.errstate(over="ignore"):
        usable = np.isfinite(array.data.astype("float32")) & ~np.ma.getmaskarray(array)
    spoiled = ~usable.reshape(*array.shape, *later) & known
    if spoiled.any():
        raise ValueError(
            f"{what} must be finite where there is a label. Received: weights of "
            f"{int(spoiled.sum())} labels that are NaN, masked, or infinite, in float32 at least"
        )
    return array.filled(0)


def _argument(task: str) -> str:
    return f"Argument `sample_weight` of task {task!r}"
