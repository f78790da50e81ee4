"""The step of training or evaluation that is under way, and what belongs to it alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from keras_mtl.layers.routing_records import recorded_routing
from keras_mtl.training.layer_losses import own_losses
from keras_mtl.training.tracker import running_logs

# A context variable, since every replica traces in its own thread.
_STEPPING: ContextVar[keras.Model | None] = ContextVar("keras_mtl_stepping", default=None)


@contextmanager
def step_of(model: keras.Model) -> Iterator[None]:
    """A step of `model` that is ours: the model's call gives logits."""
    token = _STEPPING.set(model)
    try:
        yield
    finally:
        _STEPPING.reset(token)


def is_stepping(model: keras.Model) -> bool:
    """Whether a step of `model` is under way in this thread."""
    return _STEPPING.get() is model


def run_train_step(step: Callable[..., Any], *args: Any) -> Any:
    """Runs `step`, a `train_step` of ours or of one's own: records and losses are its own."""
    with recorded_routing(), own_losses(), running_logs():
        return step(*args)


def run_test_step(step: Callable[..., Any], *args: Any) -> Any:
    """As `run_train_step`, of evaluation."""
    with recorded_routing(), own_losses():
        return step(*args)
