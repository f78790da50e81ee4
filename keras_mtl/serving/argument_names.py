"""Names of a signature's inputs: a column may be called anything, a TensorFlow argument may not."""

import keyword
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

_ARGUMENT = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def argument_names(columns: Iterable[str]) -> dict[str, str]:
    """The argument that stands for each column: its own name wherever TensorFlow takes it.

    TensorFlow warns, each time a signature is made or loaded, of what is no argument in Python.

    >>> argument_names(["age", "capital gain", "class", "zip-code"])
    {'age': 'age', 'capital gain': 'capital_gain', 'class': 'input_2', 'zip-code': 'zip_code'}
    """
    nearest = {column: re.sub(r"[^A-Za-z0-9_]", "_", column) for column in columns}
    # TensorFlow does not tell apart upper from lower case.
    alike = Counter(name.casefold() for name in nearest.values())
    return {
        column: name if _is_argument(name) and alike[name.casefold()] == 1 else f"input_{index}"
        for index, (column, name) in enumerate(nearest.items())
    }


def restore_column_names(folder: str | os.PathLike[str], arguments: Mapping[str, str]) -> None:
    """Calls inputs of a SavedModel by their columns again; a server reads no other names.

    So does Python: a loaded signature takes `signature(**{"zip-code": ...})`.
    """
    columns = {argument: column for column, argument in arguments.items() if argument != column}
    if not columns:
        return
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    path = Path(folder) / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in saved.meta_graphs:
        for signature in graph.signature_def.values():
            inputs = {columns.get(name, name): info for name, info in signature.inputs.items()}
            restored = meta_graph_pb2.SignatureDef(inputs=inputs)  # one may bear another's argument
            signature.ClearField("inputs")
            signature.MergeFrom(restored)
        for node in graph.object_graph_def.nodes:
            keywords = node.bare_concrete_function.argument_keywords
            if {*keywords} & {*columns}:
                keywords[:] = [columns.get(name, name) for name in keywords]
    path.write_bytes(saved.SerializeToString(deterministic=True))


def _is_argument(name: str) -> bool:
    reserved = keyword.iskeyword(name) or name == "self" or re.fullmatch(r"(?i)input_\d+", name)
    return bool(_ARGUMENT.fullmatch(name)) and not reserved
