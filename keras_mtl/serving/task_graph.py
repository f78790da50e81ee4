"""The part of a model's graph that some outputs need, down to the slots of stacks over tasks.

A stack (..., T, U) holds a slot for each task. From each output back to the inputs we note which
slots of which tensor are asked for, by all who read it; then the graph is computed forwards with
these alone. Where an operation is none of those that `_step` knows, it reads and gives whole
tensors.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.ops.numpy import GetItem, Stack, Take  # Keras exports no classes of operations

from keras_mtl.layers.slots import SlotLayer, Slots, read_slots
from keras_mtl.layers.task_output import TaskOutput

Read = tuple[keras.KerasTensor, Slots]


class TaskGraph:
    """Computes outputs of a functional graph, for inference, and nothing that they do not need.

    Args:
        outputs: The graph's tensors to compute, by name.
    """

    def __init__(self, outputs: Mapping[str, keras.KerasTensor]) -> None:
        self.outputs = dict(outputs)
        self.steps = _plan(list(self.outputs.values()))

    def __call__(self, inputs: Mapping[int, Any]) -> dict[str, Any]:
        """The outputs by name, from values of the graph's inputs by the `id` of their tensors."""
        found: dict[int, tuple[Any, Slots]] = {key: (value, None) for key, value in inputs.items()}
        for step in self.steps:
            values = [read_slots(*found[id(tensor)], slots) for tensor, slots in step.reads]
            outputs = keras.tree.flatten(step.compute(*values))
            for tensor, value in zip(step.gives, outputs, strict=True):
                found[id(tensor)] = (value, step.slots)
        return {name: found[id(tensor)][0] for name, tensor in self.outputs.items()}


@dataclass(frozen=True)
class _Step:
    """How `slots` of the tensors that a node gives are computed from those that it reads."""

    gives: list[keras.KerasTensor]
    slots: Slots
    reads: Sequence[Read]
    compute: Callable[..., Any]


def _plan(outputs: list[keras.KerasTensor]) -> list[_Step]:
    """The steps to the outputs, in the order of computation."""
    asked: dict[int, Slots] = {id(tensor): None for tensor in outputs}
    steps = []
    for node in reversed(_nodes_before(outputs)):  # who reads a tensor comes before who gives it
        wanted = [asked[id(tensor)] for tensor in node.outputs if id(tensor) in asked]
        if not wanted:
            continue
        steps.append(_step(node, wanted[0] if len(node.outputs) == 1 else None))
        for tensor, slots in steps[-1].reads:
            asked[id(tensor)] = _union(tensor, asked.get(id(tensor), ()), slots)
    return steps[::-1]


def _nodes_before(outputs: Iterable[keras.KerasTensor]) -> list[Any]:
    """The nodes that compute `outputs`, each after all that it reads."""
    found: dict[int, Any] = {}

    def visit(tensor: keras.KerasTensor) -> None:
        operation, index, _ = tensor._keras_history
        node = operation._inbound_nodes[index]
        if node.is_input or id(node) in found:
            return
        for source in node.input_tensors:
            visit(source)
        found[id(node)] = node

    for output in outputs:
        visit(output)
    return list(found.values())


def _union(tensor: keras.KerasTensor, first: Slots, second: Slots) -> Slots:
    if first is None or second is None:
        return None
    slots = tuple(sorted({*first, *second}))
    return None if slots == tuple(range(tensor.shape[-2])) else slots


def _step(node: Any, slots: Slots) -> _Step:
    """What a node reads and does to give `slots` of its output, or more than these."""
    operation, sources = node.operation, node.input_tensors
    if isinstance(operation, SlotLayer) and slots is not None and len(sources) == 1:
        read = (sources[0], operation.source_slots(slots))
        return _Step(node.outputs, slots, [read], lambda x: operation(x, slots=slots))
    if slots is not None and _stacks_slots(node):
        reads = [(sources[slot], None) for slot in slots]
        return _Step(node.outputs, slots, reads, lambda *values: ops.stack(values, axis=-2))
    taken = _taken_slots(node)
    if taken is not None:
        wanted = taken if slots is None else tuple(taken[slot] for slot in slots)
        return _Step(node.outputs, slots, [(sources[0], wanted)], lambda x: x)
    picked = _picked_slot(node)
    if picked is not None:
        head = _head_of_own_logits(operation)
        return _Step(node.outputs, None, [(sources[0], (picked,))], lambda x: head(x[..., 0, :]))
    return _Step(node.outputs, None, [(tensor, None) for tensor in sources], _whole(node))


def _stacks_slots(node: Any) -> bool:
    """Whether the node is `ops.stack(tensors, axis=-2)`."""
    if not isinstance(node.operation, Stack):
        return False
    shape = node.outputs[0].shape
    return node.operation.axis in (-2, len(shape) - 2) and shape[-2] == len(node.input_tensors)


def _taken_slots(node: Any) -> tuple[int, ...] | None:
    """The slots of `ops.take(x, [slot, ...], axis=-2)`; `None` for any other node."""
    if not isinstance(node.operation, Take):
        return None
    indices = _argument(node, 1, "indices")
    shape = node.input_tensors[0].shape
    if node.operation.axis not in (-2, len(shape) - 2) or shape[-2] is None:
        return None
    if isinstance(indices, keras.KerasTensor) or np.ndim(indices) != 1:
        return None
    return tuple(int(index) % shape[-2] for index in indices)


def _picked_slot(node: Any) -> int | None:
    """The slot of `x[..., slot, :]`, or that a head reads; `None` for any other node."""
    slot = None
    if isinstance(node.operation, TaskOutput):
        slot = node.operation.index
    elif isinstance(node.operation, GetItem):
        key = _argument(node, 1, "key")
        if isinstance(key, tuple | list) and len(key) == 3 and isinstance(key[1], int):
            slot = key[1] if key[0] is Ellipsis and key[2] == slice(None) else None
    if slot is None or node.input_tensors[0].shape[-2] is None:
        return None
    return slot % node.input_tensors[0].shape[-2]


def _head_of_own_logits(operation: Any) -> Callable[[Any], Any]:
    """What follows the choice of a slot: a head without its index, or nothing."""
    if isinstance(operation, TaskOutput):
        return TaskOutput(operation.task, None, operation.activation, name=operation.name)
    return lambda x: x


def _whole(node: Any) -> Callable[..., Any]:
    """The node's operation, called as in the graph, for inference."""
    operation = node.operation
    infers = "training" in inspect.signature(operation.call).parameters

    def compute(*values: Any) -> Any:
        read = dict(zip(map(id, node.input_tensors), values, strict=True))
        args, kwargs = node.arguments.fill_in(read)
        return operation(*args, **(kwargs | {"training": False} if infers else kwargs))

    return compute


def _argument(node: Any, position: int, name: str) -> Any:
    """An argument of the node's call."""
    args, kwargs = node.arguments.args, node.arguments.kwargs
    return args[position] if len(args) > position else kwargs.get(name)
