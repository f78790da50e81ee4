"""A model as an ONNX file: the same function that a SavedModel serves as `packed`."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from keras_mtl.serving.signatures import input_arguments, input_specs, packed_function
from keras_mtl.serving.written_aside import check_free, written_aside


def export_onnx(
    model: Any, filepath: str | os.PathLike[str], opset_version: int | None = None
) -> None:
    """Writes `model`, a `MultiTaskModel`, as an ONNX file.

    Its inputs bear the names of the model's own inputs, its outputs, float32 (B, ..., units), those
    of the tasks, with `NAME_joint` for a task that is trained on the whole space.

    Raises:
        ValueError: If `filepath` exists, an input holds strings, or a layer computes in
            bfloat16.
        ImportError: If tf2onnx is not installed.
    """
    target = Path(filepath)
    check_free(target)
    _check_dtypes(model)
    convert = _tf2onnx()
    packed = packed_function(model)
    # Keras' own conversion traces `model.call`, and gives a dict of inputs the names of its graph.
    proto, _ = convert.from_function(
        SimpleNamespace(get_concrete_function=lambda: packed), [], opset=opset_version
    )
    _name_inputs(proto.graph, input_arguments(model))
    _name_batch(proto.graph)
    with written_aside(target) as file:
        file.write_bytes(proto.SerializeToString())


def _check_dtypes(model: Any) -> None:
    strings = [name for name, spec in input_specs(model).items() if spec.dtype.name == "string"]
    if strings:
        raise ValueError(
            "An ONNX model must have no inputs of strings: encode them before, as a "
            f"`TabularFeatures` table does. Received: {', '.join(strings)}"
        )
    # tf2onnx mixes it with float16, and onnxruntime does not load that.
    half = [layer.name for layer in model.layers if layer.compute_dtype == "bfloat16"]
    if half:
        raise ValueError(
            'An ONNX model must not compute in bfloat16: make it under the policy "float32" and '
            f"load the weights. Received: layers {', '.join(half)}"
        )


def _tf2onnx() -> Any:
    try:
        from tf2onnx import convert
    except ImportError as error:
        raise ImportError(
            'An ONNX export needs the package tf2onnx: pip install "keras-mtl[onnx]".'
        ) from error
    return convert


def _name_inputs(graph: Any, arguments: dict[str, str]) -> None:
    """Calls inputs by their own names, which TensorFlow may not have taken as arguments."""
    names = {argument: name for name, argument in arguments.items() if argument != name}
    for tensor in graph.input:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(tensor, tensor) for tensor in node.input]


def _name_batch(graph: Any) -> None:
    """One name for the first axis everywhere, where tf2onnx numbers unknown axes."""
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
