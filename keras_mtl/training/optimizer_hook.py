"""What the package adds to an optimizer: a hook on the instance, whose class stays Keras' own."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_mtl.training import replicas


class OptimizerHook:
    """Stands before three methods of one optimizer, so that it sees true gradients.

    TensorFlow's gradient of gathered rows is summed twice: in `apply`, before Keras checks, clips
    and accumulates it, and in `update_step`, since Keras joins what replicas list between the two.

    Configuration, pickle and files hold the optimizer without its hook. `MultiTaskModel.compile`
    sets it, and loading compiles.
    """

    def __init__(self, optimizer: keras.Optimizer) -> None:
        self.is_outermost = False
        self._optimizer = optimizer
        self._build: Callable[..., None] = optimizer.build
        self._apply: Callable[..., None] = optimizer.apply
        self._update_step: Callable[..., None] = optimizer.update_step
        optimizer.build = self.build
        optimizer.apply = self.apply
        optimizer.update_step = self.update_step

    def build(self, variables: Sequence[Any]) -> None:
        """Builds; a `MultiOptimizer` may have its optimizers only from then on."""
        self._build(variables)
        for part in parts(self._optimizer):
            _hook_of(part)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Applies sums, which the outermost optimizer hands to those inside."""
        if self.is_outermost:
            # Keras divides by the factor, which TensorFlow does to dense gradients alone.
            dense = self._optimizer.loss_scale_factor is not None
            grads = [_sum_of_occurrences(gradient, dense) for gradient in grads]
        self._apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable by the sum over replicas."""
        if replicas.num_replicas() > 1:
            gradient = _sum_of_occurrences(gradient)
        self._update_step(gradient, variable, learning_rate)


def hook(optimizer: keras.Optimizer) -> None:
    """Sets the hook on an optimizer and on those inside it, where they have none."""
    if keras.backend.backend() != "tensorflow":
        return  # every gradient is dense
    for part in parts(optimizer):
        _hook_of(part)
    _hook_of(optimizer).is_outermost = True


def parts(optimizer: keras.Optimizer) -> list[keras.Optimizer]:
    """An optimizer, and those inside it, where it is made of several or scales another's loss."""
    inner = getattr(optimizer, "inner_optimizer", None)
    inside = [*getattr(optimizer, "optimizers", ()), *([] if inner is None else [inner])]
    return [optimizer, *(part for held in inside for part in parts(held))]


def _hook_of(optimizer: keras.Optimizer) -> OptimizerHook:
    """The optimizer's hook, a new one where it has none."""
    if not hasattr(optimizer, "_keras_mtl_hook"):
        optimizer._keras_mtl_hook = OptimizerHook(optimizer)
    return optimizer._keras_mtl_hook


def _sum_of_occurrences(gradient: Any, dense: bool = False) -> Any:
    from keras_mtl.training.row_gradients import sum_of_occurrences

    return sum_of_occurrences(gradient, dense)
