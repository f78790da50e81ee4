"""Losses of single entries, on logits where there are any; masks, weights and means come after."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.checks import check_identifier
from keras_mtl.losses.label_forms import check_loss, snake_case, takes_one_hot, uses_logits_of
from keras_mtl.own_objects import deep_copy

# Losses and metrics that average independent columns: each column is an entry of its own.
_COLUMNWISE = {
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "hinge",
    "squared_hinge",
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "poisson",
    "binary_accuracy",
    "binary_io_u",
    "root_mean_squared_error",
}

EntryLoss = Callable[[Any, Any], Any]


def default_loss(kind: str) -> EntryLoss:
    """The loss of a kind: labels and logits (..., U) to entry losses (..., U or 1)."""
    return {
        "binary": _binary_crossentropy,
        "multilabel": _binary_crossentropy,
        "multiclass": _sparse_crossentropy,
        "regression": _squared_error,
    }[kind]


def joint_crossentropy(labels: Any, log_probabilities: Sequence[Any]) -> Any:
    """Cross-entropy of a product of probabilities, from their logs.

    `-y s - (1 - y) log(1 - exp(s))` with `s` the sum of the logs.

    `log(1 - exp(s))` is taken as `log(-expm1(s))` near 0 and `log1p(-exp(s))` below, so that
    neither a product near 1 nor one near 0 loses its gradient.
    """
    log_product = sum(log_probabilities[1:], log_probabilities[0])  # (B, 1)
    # Below the smallest float32 gap under 0 the complement has no logarithm.
    log_product = ops.minimum(log_product, -1e-30)
    near_one = log_product > -0.6931472
    inner = ops.where(near_one, log_product, -1.0)
    outer = ops.where(near_one, -1.0, log_product)
    log_complement = ops.where(near_one, ops.log(-ops.expm1(inner)), ops.log1p(-ops.exp(outer)))
    return -labels * log_product - (1.0 - labels) * log_complement


def log_probability(output: Any, is_logits: bool) -> Any:
    """`log p` of a binary output."""
    if is_logits:
        return ops.log_sigmoid(output)
    return ops.log(ops.maximum(output, keras.config.epsilon()))


class OwnLoss:
    """A user's Keras loss, evaluated entry by entry.

    A loss that averages independent columns is evaluated a column at a time, any other on whole
    vectors. It gets logits if it says `from_logits`, or if it was named by a string and takes
    `from_logits`; predictions otherwise.

    Args:
        loss: Name, config, `keras.losses.Loss` or function of `(y_true, y_pred)`.
        kind: Kind of the task.
    """

    def __init__(self, loss: Any, kind: str) -> None:
        self._function = deep_copy(check_identifier("loss", keras.losses.get, loss))
        check_loss(self._function, kind)
        self._kind = kind
        named = isinstance(loss, str) and not isinstance(self._function, keras.losses.Loss)
        self._by_name = named and "from_logits" in inspect.signature(self._function).parameters
        self.from_logits = self._by_name or bool(getattr(self._function, "from_logits", False))
        self.columnwise = is_columnwise(self._function) and kind != "multiclass"
        self._keeps_logits = uses_logits_of(self._function, kind)
        self._one_hot = kind == "multiclass" and takes_one_hot(self._function)

    def __call__(self, labels: Any, outputs: Any) -> Any:
        """Entry losses (..., U) where columns count, (..., 1) where vectors do.

        `outputs` are logits where `from_logits` says so, predictions otherwise.
        """
        if self._kind == "multiclass":
            labels = ops.cast(labels[..., 0], "int32")  # (...)
            labels = ops.one_hot(labels, outputs.shape[-1]) if self._one_hot else labels
        elif self.columnwise:
            labels, outputs = ops.expand_dims(labels, -1), ops.expand_dims(outputs, -1)
        if not (self._keeps_logits or self.from_logits):
            outputs = 1.0 * outputs  # a tensor of its own, without `_keras_logits`
        if isinstance(self._function, keras.losses.Loss):
            losses = self._function.call(labels, outputs)
        elif self._by_name:
            losses = self._function(labels, outputs, from_logits=True)
        else:
            losses = self._function(labels, outputs)
        return losses if self.columnwise else self._as_entries(losses, outputs.shape)

    def _as_entries(self, losses: Any, shape: tuple[Any, ...]) -> Any:
        """Losses of vectors (...) get an axis of 1; those of a function that takes no mean stay."""
        if len(losses.shape) == len(shape) - 1:
            return ops.expand_dims(losses, -1)  # (..., 1)
        if len(losses.shape) != len(shape):
            raise ValueError(
                "A loss must give a value for every entry, before any mean over rows. "
                f"Received: shape={tuple(losses.shape)} for predictions of shape={tuple(shape)}"
            )
        one_row = self._kind == "multiclass"
        return ops.mean(losses, axis=-1, keepdims=True) if one_row else losses


def is_columnwise(function: Any) -> bool:
    """Whether a Keras loss or metric averages independent columns."""
    return snake_case(function) in _COLUMNWISE


def _binary_crossentropy(labels: Any, logits: Any) -> Any:
    return ops.binary_crossentropy(labels, logits, from_logits=True)  # (..., U)


def _sparse_crossentropy(labels: Any, logits: Any) -> Any:
    classes = ops.cast(labels[..., 0], "int32")  # (...)
    losses = ops.sparse_categorical_crossentropy(classes, logits, from_logits=True)  # (...)
    return ops.expand_dims(losses, -1)  # (..., 1)


def _squared_error(labels: Any, predictions: Any) -> Any:
    return ops.square(labels - predictions)  # (..., U)
