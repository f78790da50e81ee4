"""Batches of generators and `PyDataset`s, of which Keras would drop masks and fingerprints."""

from collections.abc import Mapping, Sequence
from types import GeneratorType
from typing import Any

import keras
import numpy as np

from keras_mtl.masked_numbers import check_bits, check_unmasked
from keras_mtl.task import Task
from keras_mtl.training.data import filled_labels
from keras_mtl.training.inputs import check_table
from keras_mtl.training.narrow_labels import narrow_labels, narrows


def marked_batches(tasks: Sequence[Task], data: Any, fingerprints: frozenset[str]) -> Any:
    """`data` with masked labels marked missing, batch by batch; what holds no NumPy stays.

    Args:
        tasks: The model's tasks.
        data: What `fit` takes.
        fingerprints: of the model's tables; rows that another one encoded are refused.
    """
    if isinstance(data, GeneratorType):
        return (_marked(tasks, batch, fingerprints) for batch in data)
    if isinstance(data, keras.utils.PyDataset):
        return MarkedBatches(tasks, data, fingerprints)
    return data


class MarkedBatches(keras.utils.PyDataset):
    """Another `PyDataset`, with masked labels marked missing.

    Args:
        tasks: The model's tasks.
        data: What gives the batches.
        fingerprints: of the model's tables.
    """

    def __init__(
        self, tasks: Sequence[Task], data: keras.utils.PyDataset, fingerprints: frozenset[str]
    ) -> None:
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._tasks, self._data, self._fingerprints = list(tasks), data, fingerprints

    def __getitem__(self, index: int) -> Any:
        return _marked(self._tasks, self._data[index], self._fingerprints)

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


def _marked(tasks: Sequence[Task], batch: Any, fingerprints: frozenset[str]) -> Any:
    """A batch without masks; those of inputs and of weights are refused."""
    x, *labels = batch if isinstance(batch, tuple) else (batch,)
    check_table(fingerprints, x)
    for array in keras.tree.flatten(batch):
        if isinstance(array, np.ndarray):
            check_bits("Arrays of a batch", array)
    if not narrows() and not any(map(_is_masked, keras.tree.flatten(batch))):
        return batch
    y, *weights = labels or (None,)
    for what, part in (("Inputs", x), *(("Sample weights", weight) for weight in weights)):
        keras.tree.map_structure(lambda array, what=what: check_unmasked(what, array), part)
    if isinstance(y, Mapping):
        by_name = {task.name: task for task in tasks}
        y = {k: _plain(by_name[k], v) if k in by_name else v for k, v in y.items()}
    elif len(tasks) == 1:
        y = _plain(tasks[0], y)
    return (x, y, *weights) if labels else batch


def _plain(task: Task, labels: Any) -> Any:
    if _is_masked(labels):
        labels = filled_labels(task, labels)
    return narrow_labels(task, labels) if narrows() and isinstance(labels, np.ndarray) else labels


def _is_masked(array: Any) -> bool:
    return isinstance(array, np.ma.MaskedArray)
