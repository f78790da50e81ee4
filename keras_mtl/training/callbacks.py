"""The callbacks of `fit` and `evaluate`: the user's, and our own around them."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.task import Task
from keras_mtl.training.best_number import BestNumber
from keras_mtl.training.mean_metric import MeanMetric
from keras_mtl.training.short_bar import MOST_TASKS, short_bars


def with_own(
    callbacks: Any, tasks: Sequence[Task], verbose: Any, *checks: keras.callbacks.Callback
) -> Any:
    """The user's `callbacks` with ours; a whole `CallbackList` stays as it is.

    Args:
        callbacks: As `fit` takes them.
        tasks: The model's tasks.
        verbose: As `fit` takes it.
        *checks: Our own that look at labels and at weights.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    own = keras.tree.flatten(callbacks or [])
    # Before the user's: they may choose by it.
    means = [MeanMetric(tasks)] if len(tasks) > MOST_TASKS else []
    # After the user's: one of them may restore a backup.
    return [*means, *own, *checks, BestNumber(own), *short_bars(tasks, own, verbose)]
