"""The variables that an export stores: whole, once, and nothing that no signature reads."""

import math
from pathlib import Path
from typing import Any, NamedTuple

OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
CHECKSUMS = 64  # bytes of lengths and checksums beside the names of objects


class Stored(NamedTuple):
    """Bytes of each variable, of the names of objects, and of the files that hold both."""

    values: list[int]
    names: int
    files: int


def read_stored(folder: Path, graph: Any) -> Stored:
    """Reads all variables of an export, which compares each with its checksum.

    Args:
        folder: of the export.
        graph: its MetaGraphDef.

    Raises:
        ValueError: If they are damaged, or missing though signatures read some.
    """
    import tensorflow as tf

    prefix = folder / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file() and not _sizes_read(graph):
        return Stored([], 0, 0)
    values, names = [], 0
    try:
        checkpoint = tf.train.load_checkpoint(str(prefix))
        for name, dtype in checkpoint.get_variable_to_dtype_map().items():
            value = checkpoint.get_tensor(name)
            if name == OBJECTS:
                names = len(value)
            else:
                values.append(math.prod(value.shape) * dtype.size)
    except (tf.errors.OpError, LookupError, ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"The variables of the export are missing or damaged: {reason} Received: {prefix}"
        ) from error
    files = sum(file.stat().st_size for file in prefix.parent.glob("variables.data-*"))
    return Stored(values, names, files)


def storage_problems(stored: Stored, graph: Any) -> list[str]:
    """Sentences on variables that are stored twice, or stored and never read."""
    read, total = _sizes_read(graph), sum(stored.values)
    problems = []
    if sorted(stored.values) != sorted(read):
        problems.append(
            f"signatures read {len(read)} variables of {sum(read):,} bytes, but "
            f"{len(stored.values)} of {total:,} bytes are stored"
        )
    if stored.files > total + stored.names + CHECKSUMS:
        problems.append(
            f"{stored.files:,} bytes hold {total:,} of values and {stored.names:,} of names"
        )
    return problems


def _sizes_read(graph: Any) -> list[int]:
    """Bytes of each variable that the outputs of some signature depend on."""
    import tensorflow as tf

    nodes = {node.name: node for node in graph.graph_def.node}
    waiting = [
        _node_name(info.name)
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
        for info in signature.outputs.values()
    ]
    reached = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in reached:
            reached.add(name)
            waiting += map(_node_name, nodes[name].input)
    variables = [nodes[name].attr for name in reached if nodes[name].op == "VarHandleOp"]
    return [
        math.prod(tf.TensorShape(attr["shape"].shape)) * tf.as_dtype(attr["dtype"].type).size
        for attr in variables
    ]


def _node_name(tensor: str) -> str:
    """The node of `node:1`, and of the control input `^node`."""
    return tensor.removeprefix("^").partition(":")[0]
