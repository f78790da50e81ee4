"""What lies in an export's folder: a SavedModel, its signatures, its variables."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import tensorflow as tf

GRAPH = "saved_model.pb"


class Signature(NamedTuple):
    """What a signature takes and gives, by name."""

    inputs: "dict[str, tf.TensorSpec]"
    outputs: "dict[str, tf.TensorSpec]"


def version_folder(path: str | os.PathLike[str]) -> Path:
    """`path` if it holds a SavedModel, or else its highest version, as TF Serving chooses.

    Raises:
        ValueError: If there is no SavedModel.
    """
    folder = Path(path)
    if (folder / GRAPH).is_file():
        return folder
    versions = [entry for entry in _entries(folder) if entry.name.isdecimal()]
    if versions:
        highest = max(versions, key=lambda entry: int(entry.name))
        if (highest / GRAPH).is_file():
            return highest
        folder = highest
    found = "a file" if folder.is_file() else "nothing" if not folder.exists() else "a folder"
    raise ValueError(
        f"Argument `path` must be a folder that holds {GRAPH}, or one of its versions. "
        f"Received: {folder}, {found}{' without it' if found == 'a folder' else ''}"
    )


def read_graph(folder: Path) -> Any:
    """The MetaGraphDef that a server loads.

    Raises:
        ValueError: If the file is damaged, or holds no graph with the tag `serve`.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        saved = saved_model_pb2.SavedModel.FromString((folder / GRAPH).read_bytes())
    except DecodeError as error:
        raise ValueError(
            f"The file {GRAPH} is no SavedModel, or damaged. Received: {folder / GRAPH}"
        ) from error
    for graph in saved.meta_graphs:
        if set(graph.meta_info_def.tags) == {"serve"}:
            return graph
    raise ValueError(f"The export must hold a graph with the tag `serve`. Received: {folder}")


def read_signatures(graph: Any) -> dict[str, Signature]:
    """The signatures of a graph by name, the default one first.

    Those that only TensorFlow calls are left out.
    """
    names = sorted(graph.signature_def, key=lambda name: (name != "serving_default", name))
    return {
        name: Signature(
            _specs(graph.signature_def[name].inputs), _specs(graph.signature_def[name].outputs)
        )
        for name in names
        if not name.startswith("__")
    }


def _entries(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []


def _specs(tensors: Any) -> "dict[str, tf.TensorSpec]":
    import tensorflow as tf

    return {
        name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype), name)
        for name, info in sorted(tensors.items())
    }
