"""Keras' loops of `fit`, `evaluate` and `predict`, over exactly the steps that were asked for.

Keras runs whole calls of `steps_per_execution` steps, so that 10 steps asked become 16. This file
is the one that knows its epoch iterator; a test tells when Keras changes it.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import Any

import keras
from keras.src.trainers.epoch_iterator import EpochIterator
from keras.src.utils.traceback_utils import filter_traceback

from keras_mtl.training.batch_watchers import watches_batches

# Whether calls run a single step, since somebody looks at every batch.
_SINGLE_STEPS: ContextVar[bool] = ContextVar("keras_mtl_single_steps", default=False)


class Steps:
    """The batches of one call: an iterator over data that ends after `number` of them.

    Attributes:
        iterator: what Keras made over the data; it may end earlier.
        number: steps that the call is to run.
        done: steps that it has run.
    """

    def __init__(self, iterator: Iterator[Any], number: int) -> None:
        self.iterator = iterator
        self.number = number
        self.done = 0

    def __iter__(self) -> "Steps":
        return self

    def __next__(self) -> Any:
        if self.done == self.number:
            raise StopIteration
        batch = next(self.iterator)
        self.done += 1
        return batch


class ExactSteps(EpochIterator):
    """Makes calls of an epoch iterator of Keras end where the steps that were asked for do.

    A mixin, before the epoch iterator of the backend.
    """

    def __init__(self, *args: Any, steps_per_execution: int = 1, **kwargs: Any) -> None:
        # Keras counts single steps, rightly; they are joined to calls here.
        super().__init__(*args, steps_per_execution=1, **kwargs)
        self._steps_per_call = 1 if _SINGLE_STEPS.get() else steps_per_execution
        self._call: Steps | None = None

    def _enumerate_iterator(self) -> Iterator[tuple[int, int, Steps]]:
        """First and last step of each call, and its batches."""
        steps = super()._enumerate_iterator()
        for first, _, iterator in steps:
            self._call = Steps(iterator, min(self._steps_per_call, self._steps_left(first)))
            for _ in range(self._call.number - 1):
                next(steps)
            yield first, first + self._call.number - 1, self._call
            self._uncount()

    def _steps_left(self, step: int) -> int:
        """Steps from `step` on until the epoch or the data end, where that is known."""
        limits = [self._steps_per_call]
        if self.steps_per_epoch:
            limits.append(self.steps_per_epoch - step)
        if self._num_batches:
            limits.append(self._num_batches - self._steps_seen + 1)  # `step` is counted as seen
        return min(limits)

    def _uncount(self) -> None:
        """Takes back the steps that had no data: their number is not known before they run."""
        if self._call is not None:
            self._steps_seen -= self._call.number - self._call.done
            self._call = None

    @contextmanager
    def catch_stop_iteration(self) -> Iterator[None]:
        """As in Keras, which then takes the steps seen for the length of the data."""
        with super().catch_stop_iteration():
            try:
                yield
            finally:
                self._uncount()

    def _interrupted_warning(self) -> None:
        # Keras also warns where the data's length was not known and nothing was asked for.
        if self.steps_per_epoch:
            super()._interrupted_warning()


def _exact(loop: Callable[..., Any]) -> Callable[..., Any]:
    """A loop of Keras over an epoch iterator with exact steps.

    The loops name the iterator's class and take no other, so each gets global names of its own.
    """
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return loop
    plain = inspect.unwrap(loop)
    names = dict(plain.__globals__)
    name = next(name for name in plain.__code__.co_names if name.endswith("EpochIterator"))
    names[name] = type(name, (ExactSteps, names[name]), {})
    exact = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__)
    return filter_traceback(exact)


_LOOPS = {name: _exact(getattr(keras.Model, name)) for name in ("fit", "evaluate", "predict")}


def run_loop(name: str, model: keras.Model, auto_steps: bool, **arguments: Any) -> Any:
    """Runs Keras' `fit`, `evaluate` or `predict`.

    Args:
        name: which of the three.
        model: the model.
        auto_steps: whether calls may run single steps, for callbacks that look at batches.
        **arguments: those of the loop.
    """
    token = _SINGLE_STEPS.set(auto_steps and watches_batches(arguments["callbacks"], name))
    try:
        return _LOOPS[name](model, **arguments)
    finally:
        _SINGLE_STEPS.reset(token)
