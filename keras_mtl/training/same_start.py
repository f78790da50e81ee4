"""SameStart: workers that have restored different backups do not train on."""

from typing import Any

import keras
import numpy as np

from keras_mtl.training import replicas


class SameStart(keras.callbacks.Callback):
    """Raises before the first step unless all workers stand at the same one.

    A worker that was killed while it wrote its backup comes back an epoch behind the others: their
    weights would differ from then on, and the last epoch would wait for it for ever.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        """Compares the steps that the optimizers have made, after backups are restored."""
        # A variable, or a tensor where gradients are accumulated.
        step = int(np.asarray(self.model.optimizer.iterations))
        with replicas.scope_of(self.model):
            steps = replicas.gathered(step)
        if len(set(steps)) > 1:
            raise ValueError(
                "Workers must start at the same step: give each the chief's backup. "
                f"Received: steps of the workers' optimizers={steps}"
            )
