"""From a model's outputs back to the logits that its losses read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras

from keras_mtl.layers.task_output import TaskOutput
from keras_mtl.task import Task

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
        for name, output in outputs.items():
            tensor, index, is_logits = _logits_behind(output)
            key = keys.setdefault(id(tensor), f"logits_{len(keys)}")
            tensors[key] = tensor
            self.heads[name] = Head(key, index, is_logits)
        masked = {key: x for key, x in tensors.items() if has_mask(x)}
        masks = {mask_key(key): EntryMask()(x) for key, x in masked.items()}
        _name_apart(masks.values(), outputs.values())
        self._graph = keras.Model(inputs, {**tensors, **masks})

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


class WithoutActivation(keras.layers.Layer):
    """Calls a built layer on its own weights, leaving out its final activation."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        # A policy of low precision would ask this layer for a quantized call of its own.
        super().__init__(dtype=layer.compute_dtype)
        self._borrowed = (layer,)
        self.built = True
        self.supports_masking = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The layer's output before its activation."""
        (layer,) = self._borrowed
        activation, layer.activation = layer.activation, keras.activations.linear
        try:
            return layer(*args, **kwargs)
        finally:
            layer.activation = activation


def has_mask(tensor: keras.KerasTensor) -> bool:
    """Whether layers hand a mask along with `tensor`; Keras has no public name for it."""
    return getattr(tensor, "_keras_mask", None) is not None


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


def _name_apart(masks: Iterable[Any], outputs: Iterable[Any]) -> None:
    """Renames operations that only masks need, where the model has one of that name.

    Keras makes them anew when it loads a model, and in a new process numbers them anew as well.
    """
    own = _operations_behind(outputs)
    taken = {operation.name for operation in own}
    for operation in _operations_behind(masks):
        if operation not in own:
            while operation.name in taken:
                operation.name += "_of_mask"
            taken.add(operation.name)


def _operations_behind(tensors: Iterable[keras.KerasTensor]) -> dict[Any, None]:
    """The operations that made `tensors`, and what they were made from, in an order."""
    nodes: dict[tuple[Any, int], None] = {}
    waiting = list(tensors)
    while waiting:
        operation, node_index, _ = waiting.pop()._keras_history
        if (operation, node_index) not in nodes:
            nodes[operation, node_index] = None
            waiting += operation._inbound_nodes[node_index].input_tensors
    return dict.fromkeys(operation for operation, _ in nodes)


def _logits_behind(output: keras.KerasTensor) -> tuple[keras.KerasTensor, int | None, bool]:
    head = output._keras_history.operation
    if head.activation is not None or head.task.kind == "regression":
        return _argument(output), head.index, True
    prediction = _argument(output)
    logits = _before_activation(prediction, activation_of(head.task))
    return (prediction, None, False) if logits is None else (logits, None, True)


def _before_activation(prediction: keras.KerasTensor, activation: str) -> keras.KerasTensor | None:
    """The tensor that `activation` was applied to, or None if `prediction` was made otherwise."""
    operation = prediction._keras_history.operation
    if getattr(operation, "axis", -1) not in (-1, len(prediction.shape) - 1):
        return None
    if type(operation).__module__.startswith("keras.") and (
        type(operation).__name__.lower() == activation
    ):
        return _argument(prediction)  # keras.layers.Softmax, keras.ops.sigmoid
    if getattr(operation, "activation", None) is not keras.activations.get(activation):
        return None
    if isinstance(operation, keras.layers.Activation):
        return _argument(prediction)
    return WithoutActivation(operation)(*_arguments(prediction))


def _argument(tensor: keras.KerasTensor) -> keras.KerasTensor:
    return _arguments(tensor)[0]


def _arguments(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index].input_tensors
