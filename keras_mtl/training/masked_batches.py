"""Batches of generators and `PyDataset`s, in which Keras would drop the masks of masked arrays."""

from collections.abc import Mapping, Sequence
from types import GeneratorType
from typing import Any

import keras
import numpy as np

from keras_mtl.masked_numbers import check_unmasked
from keras_mtl.task import Task
from keras_mtl.training.data import filled_labels


def marked_batches(tasks: Sequence[Task], data: Any) -> Any:
    """`data` with masked labels marked missing, batch by batch; what holds no NumPy stays."""
    if isinstance(data, GeneratorType):
        return (_marked(tasks, batch) for batch in data)
    return MarkedBatches(tasks, data) if isinstance(data, keras.utils.PyDataset) else data


class MarkedBatches(keras.utils.PyDataset):
    """Another `PyDataset`, with masked labels marked missing.

    Args:
        tasks: The model's tasks.
        data: What gives the batches.
    """

    def __init__(self, tasks: Sequence[Task], data: keras.utils.PyDataset) -> None:
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._tasks, self._data = list(tasks), data

    def __getitem__(self, index: int) -> Any:
        return _marked(self._tasks, self._data[index])

    @property
    def num_batches(self) -> int | None:
        """As of the other."""
        return self._data.num_batches

    def on_epoch_begin(self) -> None:
        """As the other does."""
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """As the other does."""
        self._data.on_epoch_end()


def _marked(tasks: Sequence[Task], batch: Any) -> Any:
    """A batch without masks; those of inputs and of weights are refused."""
    if not isinstance(batch, tuple) or not any(map(_is_masked, keras.tree.flatten(batch))):
        return batch
    x, y, *weights = batch
    for what, part in (("Inputs", x), *(("Sample weights", weight) for weight in weights)):
        keras.tree.map_structure(lambda array, what=what: check_unmasked(what, array), part)
    if isinstance(y, Mapping):
        by_name = {task.name: task for task in tasks}
        y = {k: _plain(by_name[k], v) if k in by_name else v for k, v in y.items()}
    elif len(tasks) == 1:
        y = _plain(tasks[0], y)
    return x, y, *weights


def _plain(task: Task, labels: Any) -> Any:
    return filled_labels(task, labels) if _is_masked(labels) else labels


def _is_masked(array: Any) -> bool:
    return isinstance(array, np.ma.MaskedArray)
