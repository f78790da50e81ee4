"""Whose weights a file holds: names of tasks, fingerprints of tables.

Keras matches weights by position, so that those of other tasks or of another vocabulary would fit.
"""

import json
import math
from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
import numpy as np

# Keras exports no classes of operations.
from keras.src.ops.core import Unstack
from keras.src.ops.numpy import GetItem, Split, Take

from keras_mtl.features import saved_fingerprint
from keras_mtl.features.embedding import embeddings_of
from keras_mtl.layers.task_output import TaskOutput

_KEY = "names"
_ADVICE = (
    "To take them all the same, hand them over: `model.set_weights(other.get_weights())`, or layer "
    "by layer."
)
_FORMATS = (".weights.h5", ".weights.json", ".keras")


def keep(model: Any, store: MutableMapping[str, Any]) -> None:
    """Puts the names into a store of weights, which takes arrays alone."""
    store[_KEY] = np.frombuffer(json.dumps(_names(model)).encode(), "uint8")


def check(model: Any, store: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what else is in a store of weights, where its tasks are those of `model`.

    A store without names tells nothing; layers compare tables themselves.

    Raises:
        ValueError: If the weights are those of other tasks.
    """
    rest = {key: store[key] for key in store.keys()}  # noqa: SIM118 (Keras' store has no __iter__)
    if _KEY in rest:
        _compare_tasks(_names(model)["tasks"], json.loads(rest.pop(_KEY).tobytes())["tasks"])
    return rest


def check_file(model: Any, filepath: Any, skip_mismatch: bool) -> None:
    """Compares the names in a file of weights before Keras loads a first weight.

    Keras meets the same mismatch while it loads, and goes on with the other layers; with
    `skip_mismatch`, it would put a task's head in another's place and merely warn.

    Args:
        model: The model that is to take the weights.
        filepath: A file of weights; of a legacy format, it has no names.
        skip_mismatch: Whether another table is no reason to stop: its embeddings are skipped.

    Raises:
        ValueError: If the weights are those of other tasks, or of another table.
    """
    if not str(filepath).endswith(_FORMATS):
        return
    reader = _Reader()
    reader.built = True  # Keras loads into nothing else
    keras.saving.load_weights(reader, filepath)
    if reader.names is None:
        return
    names = _names(model)
    _compare_tasks(names["tasks"], reader.names["tasks"])
    if not skip_mismatch:
        # Older files list a table once per embedding.
        saved_fingerprint.compare(names["tables"], sorted({*reader.names["tables"]}))


class _Reader(keras.layers.Layer):
    """Reads the names in a file, of any of Keras' formats, and no weight."""

    names: dict[str, Any] | None = None

    def load_own_variables(self, store: Any) -> None:
        if _KEY in store.keys():  # noqa: SIM118
            self.names = json.loads(store[_KEY].tobytes())


def _names(model: Any) -> dict[str, Any]:
    """Tasks and where they read in stacks, and the fingerprints of tables."""
    tasks = {task.name: _places(model.output[task.name]) for task in model.tasks}
    tables = {layer.table.fingerprint for layer in embeddings_of(model)}
    return {"tasks": tasks, "tables": sorted(tables)}


def _compare_tasks(tasks: Mapping[str, list[int]], saved: Mapping[str, list[int]]) -> None:
    if tasks.keys() != saved.keys():
        raise ValueError(
            f"Weights must be those of the model's tasks, {sorted(tasks)}: they lie by position. "
            f"{_ADVICE} Received: weights of tasks {sorted(saved)}"
        )
    moved = [name for name, places in tasks.items() if _differ(places, saved[name])]
    if moved:
        raise ValueError(
            "Weights must be those of the model's tasks, stacked in the same order: they lie by "
            f"position. {_ADVICE} Received: weights of another order, in which {moved} read at "
            f"{[saved[name] for name in moved]}, and here at {[tasks[name] for name in moved]}"
        )


def _differ(places: list[int], others: list[int]) -> bool:
    # One graph may be written in several ways: paths of other lengths tell nothing.
    return len(places) == len(others) and places != others


def _places(output: keras.KerasTensor) -> list[int]:
    """Where a task's prediction reads in the stacks that it is picked from, the last one first."""
    places = []
    (operation, index, position), waiting = output._keras_history, True
    while waiting:
        node = operation._inbound_nodes[index]
        places += _picked(node, position)
        waiting = not node.is_input and len(node.input_tensors) == 1
        if waiting:
            operation, index, position = node.input_tensors[0]._keras_history
    return places


def _picked(node: Any, position: int) -> list[int]:
    """The number of the first value that a node picks, where it picks some."""
    if isinstance(node.operation, TaskOutput):
        units = node.outputs[0].shape[-1]
        return [] if node.operation.index is None else [node.operation.index * units]
    if not isinstance(node.operation, GetItem | Split | Take | Unstack):
        return []
    (source,) = node.input_tensors
    shape = [1, *(size or 1 for size in source.shape[1:])]
    numbers = keras.ops.reshape(keras.ops.arange(math.prod(shape)), shape)
    args, kwargs = node.arguments.fill_in({id(source): numbers})
    picked = keras.tree.flatten(node.operation(*args, **kwargs))[position]
    return np.ravel(keras.ops.convert_to_numpy(picked))[:1].tolist()
