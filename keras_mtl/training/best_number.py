"""BestNumber: an epoch whose figure is NaN is no best one."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

_MONITORS = (
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
)


class BestNumber(keras.callbacks.Callback):
    """Lets callbacks that keep the best epoch forget one whose figure is NaN.

    Keras takes the first epoch for the best whatever its figure, and no number is better than NaN:
    a task without labels in one epoch would decide for all that follow.

    Args:
        callbacks: Those of `fit`.
    """

    def __init__(self, callbacks: Iterable[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._monitors = [each for each in callbacks if isinstance(each, _MONITORS)]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Takes NaN back."""
        for monitor in self._monitors:
            if monitor.best is not None and np.isnan(monitor.best):
                monitor.best = None
