"""SteppingModel: how steps are made and compiled, on Keras' private trainer."""

from typing import Any

import keras

from keras_mtl.training import replicas
from keras_mtl.training.class_weights import distinct_steps
from keras_mtl.training.step import step_of


class SteppingModel(keras.Model):
    """A model whose steps know that they are under way, and run as often as they are asked to."""

    def train_step(self, *args: Any) -> Any:
        """One step of the optimizer."""
        with step_of(self):
            return super().train_step(*args)

    def test_step(self, *args: Any) -> Any:
        """One step of evaluation."""
        with step_of(self):
            return super().test_step(*args)

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras; each value of class weights has a function of its own."""
        with distinct_steps(self):
            return super().make_train_function(force=force)

    def make_test_function(self, force: bool = False) -> Any:
        """As `make_train_function`."""
        with distinct_steps(self):
            return super().make_test_function(force=force)

    def _make_function(self, step_function: Any, *args: Any, **kwargs: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return super()._make_function(step_function, *args, **kwargs)
        from keras_mtl.training.executions import steps_function

        return steps_function(self, super()._make_function, step_function)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Weights, losses and metrics are all built by now. Keras' own version reduces a batch over
        # replicas to build them, which fails under MultiWorkerMirroredStrategy.
        with replicas.scope_of(self):
            if self.optimizer is not None and not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
