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
        self._optimizer = optimizer
        self._build: Callable[..., None] = optimizer.build
        self._apply: Callable[..., None] = optimizer.apply
        self._update_step: Callable[..., None] = optimizer.update_step

    def build(self, variables: Sequence[Any]) -> None:
        """Builds; a `MultiOptimizer` may have its optimizers only from then on."""
        self._build(variables)
        hook(self._optimizer)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Applies sums."""
        # Keras divides by the factor, which TensorFlow does to dense gradients alone.
        dense = self._optimizer.loss_scale_factor is not None
        self._apply([_sum_of_occurrences(g, dense) for g in grads], trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates a variable by the sum over replicas."""
        if replicas.num_replicas() > 1:
            gradient = _sum_of_occurrences(gradient)
        self._update_step(gradient, variable, learning_rate)


def hook(optimizer: keras.Optimizer) -> None:
    """Sets the hook on an optimizer and on those inside it; where it is set, nothing changes."""
    if keras.backend.backend() != "tensorflow":
        return  # every gradient is dense
    for part in parts(optimizer):
        part.update_step = _hook_of(part).update_step
    # What calls the optimizers inside hands them sums.
    optimizer.build, optimizer.apply = _hook_of(optimizer).build, _hook_of(optimizer).apply


def parts(optimizer: keras.Optimizer) -> list[keras.Optimizer]:
    """An optimizer, and those inside it, where it is made of several or scales another's loss."""
    inner = getattr(optimizer, "inner_optimizer", None)
    inside = [*getattr(optimizer, "optimizers", ()), *([] if inner is None else [inner])]
    return [optimizer, *(part for held in inside for part in parts(held))]


def _hook_of(optimizer: keras.Optimizer) -> OptimizerHook:
    """The optimizer's hook, a new one where it has none."""
    owner = getattr(optimizer.update_step, "__self__", None)
    return owner if isinstance(owner, OptimizerHook) else OptimizerHook(optimizer)


def _sum_of_occurrences(gradient: Any, dense: bool = False) -> Any:
    from keras_mtl.training.row_gradients import sum_of_occurrences

    return sum_of_occurrences(gradient, dense)
