"""The logits that predictions were made from, where their last operation is one of Keras' own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from keras_mtl.layers.task_output import TaskOutput

# Their last step is `layer.activation`. Of a subclass nobody knows what else it does.
_FUSED = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)


@dataclass(frozen=True)
class Prediction:
    """A tensor of a graph, and the name of the activation to be taken off it."""

    tensor: keras.KerasTensor
    activation: str


Source = tuple[keras.KerasTensor, bool]  # what a loss reads, and whether it is logits
Call = tuple[Any, int]  # an operation, and which of its calls


def sources_of(predictions: Sequence[Prediction]) -> list[Source]:
    """The logits of each prediction, or itself where there are none to be had."""
    sources = [_source(prediction) for prediction in predictions]
    opened = _calls_of_models(predictions)
    for call, indices in opened.items():
        cut = _cut_model(call, [predictions[index] for index in indices])
        for index, source in zip(indices, cut, strict=True):
            sources[index] = source
    # A model whose other outputs are needed as well would be computed twice: its noise would be
    # drawn anew, its statistics and losses counted double.
    while twice := opened.keys() & calls_behind(tensor for tensor, _ in sources).keys():
        for call in twice:
            for index in opened.pop(call):
                sources[index] = predictions[index].tensor, False
    return sources


def calls_behind(tensors: Iterable[keras.KerasTensor]) -> dict[Call, None]:
    """The calls that made `tensors`, and what they were made from, in an order."""
    calls: dict[Call, None] = {}
    waiting = list(tensors)
    while waiting:
        operation, node_index, _ = waiting.pop()._keras_history
        if (operation, node_index) not in calls:
            calls[operation, node_index] = None
            waiting += operation._inbound_nodes[node_index].input_tensors
    return calls


def argument_of(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """The first tensor that the operation that made `tensor` was called on."""
    return _node(tensor).input_tensors[0]


def is_same_activation(first: str | None, second: str | None) -> bool:
    """Whether two names mean one activation; None is the linear one."""
    return keras.activations.get(first) is keras.activations.get(second)


def is_masked_softmax(tensor: keras.KerasTensor) -> bool:
    """Whether a softmax made `tensor` that was called with a mask of classes."""
    call = _node(tensor).arguments
    asked = len(call.args) > 1 or call.kwargs.get("mask") is not None
    return asked and isinstance(tensor._keras_history.operation, keras.layers.Softmax)


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
        return _linear_twin(layer)(*args, **kwargs)


def _linear_twin(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A shallow copy with the layer's variables and no activation.

    Other threads call the layer meanwhile, so nothing of it may change. A copy of `compile` would
    miss what is done to the layer after it, such as `quantize`.
    """
    twin = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__, activation=keras.activations.linear)
    return twin


def _source(prediction: Prediction) -> Source:
    tensor, activation = prediction.tensor, prediction.activation
    operation = tensor._keras_history.operation
    if getattr(operation, "activity_regularizer", None) is not None:
        return tensor, False
    if type(operation) is TaskOutput:  # of a nested model
        return _source_of_output(prediction, operation)
    if _applies(operation, activation) and _on_last_axis(tensor) and not _is_masked(tensor):
        return argument_of(tensor), True
    if type(operation) in _FUSED and _has_activation(operation, activation):
        return WithoutActivation(operation)(*_node(tensor).input_tensors), True
    return tensor, False


def _source_of_output(prediction: Prediction, head: TaskOutput) -> Source:
    made_from, is_logits = argument_of(prediction.tensor), True
    if head.activation is None:
        made_from, is_logits = _source(Prediction(made_from, prediction.activation))
    elif not is_same_activation(head.activation, prediction.activation):
        is_logits = False
    return (head.select(made_from), True) if is_logits else (prediction.tensor, False)


def _applies(operation: Any, activation: str) -> bool:
    """Whether the operation is the activation alone, as `ops.sigmoid` and `layers.Softmax` are."""
    if type(operation) is keras.layers.Activation:
        return _has_activation(operation, activation)
    kind = type(operation)  # Keras exports no classes of operations
    return kind.__module__.startswith("keras.") and kind.__name__.lower() == activation


def _has_activation(layer: Any, activation: str) -> bool:
    return layer.activation is keras.activations.get(activation)


def _on_last_axis(tensor: keras.KerasTensor) -> bool:
    axis = getattr(tensor._keras_history.operation, "axis", -1)
    return axis in (-1, len(tensor.shape) - 1)


def _is_masked(tensor: keras.KerasTensor) -> bool:
    """Whether a softmax left entries of its vectors out."""
    takes_mask = isinstance(tensor._keras_history.operation, keras.layers.Softmax)
    handed = getattr(argument_of(tensor), "_keras_mask", None) is not None
    return is_masked_softmax(tensor) or (takes_mask and handed)


def _calls_of_models(predictions: Sequence[Prediction]) -> dict[Call, list[int]]:
    """The calls of nested models that made some of the predictions, and which."""
    calls: dict[Call, list[int]] = {}
    for index, prediction in enumerate(predictions):
        operation, node_index, _ = prediction.tensor._keras_history
        if _graph_of(operation) is not None and operation.activity_regularizer is None:
            calls.setdefault((operation, node_index), []).append(index)
    return calls


def _graph_of(operation: Any) -> Any:
    """The graph of a functional or Sequential model; None of anything else, such as a subclass."""
    ours = isinstance(operation, keras.Model) and type(operation).__module__.startswith(
        ("keras.", "keras_mtl.")
    )
    graph = getattr(operation, "_functional", operation) if ours else None
    return graph if hasattr(graph, "_inputs_struct") else None


def _cut_model(call: Call, predictions: Sequence[Prediction]) -> list[Source]:
    """The sources of some outputs of a nested model's call, all from one call of what it holds."""
    model, node_index = call
    graph = _graph_of(model)
    inner = [
        Prediction(graph.outputs[p.tensor._keras_history.tensor_index], p.activation)
        for p in predictions
    ]
    sources = sources_of(inner)
    if not any(is_logits for _, is_logits in sources):
        return [(prediction.tensor, False) for prediction in predictions]
    tensors = [tensor for tensor, _ in sources]
    name = f"{model.name}_logits_{node_index}"
    cut = keras.Model(graph._inputs_struct, tensors, name=name)
    arguments = model._inbound_nodes[node_index].arguments
    outputs = keras.tree.flatten(cut(*arguments.args, **arguments.kwargs))
    return [(output, is_logits) for output, (_, is_logits) in zip(outputs, sources, strict=True)]


def _node(tensor: keras.KerasTensor) -> Any:
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]
