"""The step of training or evaluation that is under way, and what belongs to it alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import keras

from keras_mtl.layers.routing_records import recorded_routing
from keras_mtl.training.layer_losses import own_losses

# A context variable, since every replica traces in its own thread.
_STEPPING: ContextVar[keras.Model | None] = ContextVar("keras_mtl_stepping", default=None)


@contextmanager
def step_of(model: keras.Model) -> Iterator[None]:
    """A step of `model`: its call gives logits, records and losses of layers are the step's own."""
    token = _STEPPING.set(model)
    try:
        with recorded_routing(), own_losses():
            yield
    finally:
        _STEPPING.reset(token)


def is_stepping(model: keras.Model) -> bool:
    """Whether a step of `model` is under way in this thread."""
    return _STEPPING.get() is model
