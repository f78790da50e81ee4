"""From a model's outputs back to the logits that its losses read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_mtl.layers.task_output import TaskOutput
from keras_mtl.task import Task
from keras_mtl.training.logits import (
    Prediction,
    argument_of,
    calls_behind,
    is_masked_softmax,
    is_same_activation,
    sources_of,
)

ACTIVATION_BY_KIND = {
    "binary": "sigmoid",
    "multilabel": "sigmoid",
    "multiclass": "softmax",
    "regression": "linear",
}


@dataclass(frozen=True)
class Head:
    """Where a task's logits stand.

    `key` names an output of the training graph, `index` the task's slice on its last but one axis
    (None: the tensor is this task's alone), and `logits` tells logits from a prediction whose
    activation could not be taken off.
    """

    key: str
    index: int | None
    logits: bool


class TrainingGraph:
    """The model's graph up to its logits, on the model's own layers and weights.

    Stacked heads are evaluated once for all their tasks, and an output's final sigmoid or softmax
    is left out, so a confidently wrong row keeps its gradient on every backend.
    """

    def __init__(self, inputs: Any, outputs: dict[str, keras.KerasTensor]) -> None:
        self.heads: dict[str, Head] = {}
        keys: dict[int, str] = {}
        tensors: dict[str, keras.KerasTensor] = {}
        for name, (tensor, index, is_logits) in _read_outputs(outputs).items():
            key = keys.setdefault(id(tensor), f"logits_{len(keys)}")
            tensors[key] = tensor
            self.heads[name] = Head(key, index, is_logits)
        sources = {key: _mask_source(tensor) for key, tensor in tensors.items()}
        masks = {mask_key(key): EntryMask()(x) for key, x in sources.items() if has_mask(x)}
        read = {**tensors, **masks}
        _name_apart(read.values(), outputs.values())
        self._graph = keras.Model(inputs, read)

    def __call__(self, inputs: Any, training: bool | None, mask: Any) -> dict[str, Any]:
        """Logits by key, and the Keras masks that came along with them by `mask_key`."""
        # `call`, not `__call__`: the model's own call is under way, and layers' losses belong to
        # it.
        return self._graph.call(inputs, training=training, mask=mask)


class EntryMask(keras.layers.Layer):
    """The Keras mask of a tensor, as a tensor: True where an entry counts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The mask (B, ...)."""
        return keras.ops.cast(mask, "bool")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: a mask has none."""


def has_mask(tensor: keras.KerasTensor) -> bool:
    """Whether layers hand a mask along with `tensor`; Keras has no public name for it."""
    return getattr(tensor, "_keras_mask", None) is not None


def _mask_source(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """The tensor whose mask tells which entries count: a softmax hands on its mask of classes."""
    return argument_of(tensor) if is_masked_softmax(tensor) else tensor


def mask_key(key: str) -> str:
    """Under which the training graph gives the mask of the logits under `key`."""
    return f"{key}_mask"


def task_output_of(tensor: keras.KerasTensor) -> TaskOutput | None:
    """The `TaskOutput` that made `tensor`, if one did."""
    operation = tensor._keras_history.operation
    return operation if isinstance(operation, TaskOutput) else None


def activation_of(task: Task) -> str:
    """Name of the activation that turns logits of a task into its prediction."""
    return ACTIVATION_BY_KIND[task.kind]


def _name_apart(read: Iterable[Any], outputs: Iterable[Any]) -> None:
    """Renames operations that only training needs, where the model has one of that name.

    Keras makes them anew when it loads a model, and in a new process numbers them anew as well.
    """
    own = _operations_behind(outputs)
    taken = {operation.name for operation in own}
    for operation in _operations_behind(read):
        if operation not in own:
            while operation.name in taken:
                operation.name += "_of_training"
            taken.add(operation.name)


def _operations_behind(tensors: Iterable[keras.KerasTensor]) -> dict[Any, None]:
    return dict.fromkeys(operation for operation, _ in calls_behind(tensors))


def _read_outputs(
    outputs: Mapping[str, keras.KerasTensor],
) -> dict[str, tuple[keras.KerasTensor, int | None, bool]]:
    """For each output what its loss reads, the slice of it, and whether that is logits."""
    read: dict[str, tuple[keras.KerasTensor, int | None, bool]] = {}
    given: dict[str, Prediction] = {}
    for name, output in outputs.items():
        head = output._keras_history.operation
        activation = activation_of(head.task)
        if head.activity_regularizer is not None:  # it is part of the loss, and sees predictions
            read[name] = output, None, False
        elif is_same_activation(head.activation, activation):
            read[name] = argument_of(output), head.index, True
        elif head.activation is None:
            given[name] = Prediction(argument_of(output), activation)
        else:
            read[name] = output, None, False
    for name, (tensor, is_logits) in zip(given, sources_of(list(given.values())), strict=True):
        read[name] = tensor, outputs[name]._keras_history.operation.index, is_logits
    return {name: read[name] for name in outputs}
