"""What an export's graph asks of a `tf.train.Example`, which no signature tells."""

from collections.abc import Iterator
from typing import Any


def integer_features(graph: Any) -> frozenset[str]:
    """Names of the features that a MetaGraphDef parses as int64, one value each."""
    return frozenset(
        name for function in graph.graph_def.library.function for name in _integers_of(function)
    )


def _integers_of(function: Any) -> Iterator[str]:
    from tensorflow.core.framework import types_pb2

    nodes = {node.name: node for node in function.node_def}
    for node in function.node_def:
        if node.op != "ParseExampleV2":
            continue
        # inputs: serialized, names, keys of sparse features, of dense ones, ...
        keys = nodes.get(node.input[3].split(":")[0])
        names = [] if keys is None else keys.attr["value"].tensor.string_val
        for name, dtype in zip(names, node.attr["Tdense"].list.type, strict=False):
            if dtype == types_pb2.DT_INT64:
                yield name.decode()
