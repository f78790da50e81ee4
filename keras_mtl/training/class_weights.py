"""ClassWeights: those of a call of `fit`, and the steps that were compiled with them."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras

from keras_mtl.training.step import run_test_step, run_train_step

# Here and not in our own steps, so that a `train_step` of one's own has what it is to have, too.
_RUN = {"train_step": run_train_step, "test_step": run_test_step}


class ClassWeights:
    """Class weights by task name, which override the tasks' own while a `fit` runs.

    They are constants of a compiled step, so each value has steps of its own, compiled once.
    """

    def __init__(self) -> None:
        self.by_task: Mapping[str, Mapping[int, float]] = {}
        self._steps: dict[Hashable, tuple[Any, Any]] = {}

    @contextmanager
    def of_fit(
        self, model: keras.Model, by_task: Mapping[str, Mapping[int, float]]
    ) -> Iterator[None]:
        """Within this context, `model` trains and evaluates with these weights."""
        before = self.by_task
        self._use(model, by_task)
        try:
            yield
        finally:
            self._use(model, before)

    def forget_steps(self) -> None:
        """Drops the steps that are kept: they hold the weights as they were when compiled."""
        self._steps.clear()

    def _use(self, model: keras.Model, by_task: Mapping[str, Mapping[int, float]]) -> None:
        self._steps[_key(self.by_task)] = model.train_function, model.test_function
        self.by_task = by_task
        steps = self._steps.get(_key(by_task), (None, None))
        model.train_function, model.test_function = steps


@contextmanager
def distinct_steps(model: keras.Model) -> Iterator[None]:
    """Within this context, `train_step` and `test_step` run as steps, equal to no other functions.

    Keras compiles the bound methods, which are equal to those that it compiled before: JAX would
    run these in their place, with the class weights of another value.
    """
    own = vars(model)
    before = {name: own[name] for name in _RUN if name in own}
    own.update({name: partial(run, getattr(model, name)) for name, run in _RUN.items()})
    try:
        yield
    finally:
        for name in _RUN:
            del own[name]
        own.update(before)


def _key(by_task: Mapping[str, Mapping[int, float]]) -> Hashable:
    return frozenset((task, frozenset(weights.items())) for task, weights in by_task.items())
