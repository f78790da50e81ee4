"""Training steps that a GPU can run, as far as a machine without one can tell.

TensorFlow's wheel registers the kernels of both devices; a step with an operation that has none for
the GPU would be placed on the CPU, batch after batch.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from tests.conformance.case import Case
from tests.conformance.over import over

ON_GPU = {"GPU", "DEFAULT"}  # the latter runs on every device


def operations(model: keras.Model, x: Any, y: Any) -> Iterator[tf.compat.v1.NodeDef]:
    """Every node of a training step, in its graph and in the functions that it calls."""
    step = tf.function(model.train_step, autograph=False)
    graph = step.get_concrete_function((x, y)).graph.as_graph_def()
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


@cache
def registered(operation: str) -> list[Any]:
    """The kernels of an operation on every device; asking takes long."""
    return list(kernels.get_registered_kernels_for_op(operation).kernel)


def has_gpu_kernel(node: tf.compat.v1.NodeDef) -> bool:
    """Whether a kernel for the GPU takes the node's types, or the host keeps it anyway."""
    if node.op == "Const" and node.attr["dtype"].type == tf.string.as_datatype_enum:
        return True  # what an assertion says, which it reads on the host
    return any(
        kernel.device_type in ON_GPU
        and all(node.attr[c.name].type in c.allowed_values.list.type for c in kernel.constraint)
        for kernel in registered(node.op)
    )


@over("kernels", slow_options=True, quick=("zoo", "metrics"))
def test_every_operation_of_a_step_has_a_gpu_kernel(case: Case) -> None:
    model = case.compile(case.model(0))
    x, y = keras.tree.map_structure(tf.constant, (case.inputs(4, 1), case.labels(4, 1)))
    missing = {node.op for node in operations(model, x, y) if not has_gpu_kernel(node)}
    assert missing == set()


@pytest.mark.parametrize("operation", ["MatMul", "LookupTableFindV2", "StringJoin"])
def test_a_kernel_that_is_missing_is_missed(operation: str) -> None:
    node = tf.compat.v1.NodeDef(op=operation)
    node.attr["T"].type = tf.float32.as_datatype_enum
    assert has_gpu_kernel(node) == (operation == "MatMul")
