"""Whether state may be assigned: while JAX traces, only in a stateless scope."""

from typing import Any

import keras
from keras.src.backend.common.stateless_scope import in_stateless_scope


def check_state(loss: Any) -> None:
    """Raises `RuntimeError` where JAX traces `loss` outside of a stateless scope.

    The trackers of losses, unlike Keras' own, add up within `compute_loss`; their variables hold no
    value in a step of Keras' on JAX, and outside of one they would keep a tracer.
    """
    if keras.backend.backend() != "jax" or in_stateless_scope():
        return
    import jax

    if isinstance(loss, jax.core.Tracer):
        raise RuntimeError(
            "While JAX traces, a loss must be computed by `model.stateless_compute_loss("
            "trainable_variables, non_trainable_variables, metrics_variables, x=x, y=y, "
            "y_pred=y_pred)`, which returns it with the variables as they are afterwards. "
            "Received: a call of `model.compute_loss`"
        )
