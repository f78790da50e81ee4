"""Which labels a loss or metric takes: class ids or one-hot vectors, and of which tasks."""

import inspect
from collections.abc import Callable
from typing import Any

import keras

_IDS = {"categorical_generalized_cross_entropy"}
_WHOLE_BATCH = {"c_t_c", "circle", "ctc"}
# Of those derived from them alone nobody but their author knows what they take.
_GENERAL = {
    "KerasSaveable",
    "Loss",
    "LossFunctionWrapper",
    "Mean",
    "MeanMetricWrapper",
    "Metric",
    "Reduction",
    "Sum",
}


def takes_one_hot(function: Any) -> bool:
    """Whether a multiclass task's labels are one-hot for it: for Keras' own that are not sparse.

    A user's own loss or metric gets class ids.
    """
    if hasattr(function, "sparse_y_true"):  # of intersection over union
        return not function.sparse_y_true
    name = _name_in_keras(function)
    return name is not None and not _is_sparse(name)


def check_loss(function: Any, kind: str) -> None:
    """Raises `ValueError` for a loss of Keras' that has no value for a single label of a kind."""
    name = _name_in_keras(function)
    if name in _WHOLE_BATCH:
        raise ValueError(
            "Argument `loss` must be a loss of single rows, of which any may lack its label. "
            f"Received: loss={function!r}"
        )
    _check_classes("loss", function, kind)


def uses_logits_of(function: Any, kind: str) -> bool:
    """Whether the logits that Keras remembers of a prediction are those that a loss means.

    Keras' losses take them without asking whether a sigmoid or a softmax was applied to them.
    """
    name = _name_in_keras(function)
    return name is not None and kind == "multiclass" and "categorical" in name


def check_metric(metric: keras.metrics.Metric, kind: str) -> None:
    """Raises `ValueError` for a metric that does not read a task's labels and predictions."""
    try:
        inspect.signature(metric.update_state).bind(None, None, sample_weight=None)
    except TypeError as error:
        raise ValueError(
            "A task's metric must have a method `update_state(y_true, y_pred, sample_weight)`. "
            f"Received: {metric!r}"
        ) from error
    if hasattr(metric, "sparse_y_pred"):
        _check_intersection(metric, kind)
    _check_classes("metrics", metric, kind)


def _check_intersection(metric: Any, kind: str) -> None:
    binary = isinstance(metric, keras.metrics.BinaryIoU)
    if binary == (kind == "multiclass"):
        raise ValueError(
            "Argument `metrics` must fit the task: BinaryIoU is for labels of 0 and 1, other "
            f"intersections over unions for multiclass tasks. Received: {metric!r}, kind={kind!r}"
        )
    if metric.sparse_y_pred and not binary:
        raise ValueError(
            "A metric that compares class ids must take them from probabilities: give it "
            f"`sparse_y_pred=False`. Received: {metric!r}"
        )


def _check_classes(argument: str, function: Any, kind: str) -> None:
    name = _name_in_keras(function)
    if name is None or kind == "multiclass":
        return
    if _is_sparse(name) or (kind == "binary" and "categorical" in name):
        raise ValueError(
            f"Argument `{argument}` must fit the task: {name} compares classes, which multiclass "
            f"tasks have. Received: kind={kind!r}"
        )


def _is_sparse(name: str) -> bool:
    return "sparse" in name or name in _IDS


def _name_in_keras(function: Any) -> str | None:
    """The name, in lower case, of the loss or metric of Keras' that it is or is derived from."""
    if inspect.isfunction(function):
        return snake_case(function) if _is_known(function) else None
    for kind in type(function).__mro__:
        if _is_known(kind) and kind.__name__ not in _GENERAL:
            return snake_case(kind)
    wrapped = getattr(function, "fn", getattr(function, "_fn", None))
    return None if wrapped is None else _name_in_keras(wrapped)


def _is_known(value: type | Callable[..., Any]) -> bool:
    return value.__module__.split(".")[0] in ("keras", "keras_mtl")


def snake_case(function: Any) -> str:
    """The name of a function, a class or an object's class, as Keras writes functions."""
    name: str = getattr(function, "__name__", type(function).__name__)
    if name.islower():
        return name
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
