"""A model as a SavedModel that TF Serving loads: raw columns in, named predictions out."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras

from keras_mtl.serving.argument_names import argument_names, restore_column_names
from keras_mtl.serving.task_graph import TaskGraph
from keras_mtl.task import JOINT_SUFFIX, Task, given_chain

Tensors = dict[str, Any]


def export_saved_model(model: Any, filepath: str | os.PathLike[str]) -> list[str]:
    """Writes `model`, a `MultiTaskModel`, as a SavedModel; returns the names of its signatures.

    Signatures: `serving_default` takes the raw columns by name, or the model's own inputs where it
    has no table; one by the name of each task computes that task alone; `packed` takes the model's
    own inputs. Outputs are float32, (B, ..., units), by task name. A task that is trained on the
    whole space also gives its product as `NAME_joint`.

    Raises:
        ValueError: If `filepath` exists, or Keras does not run on TensorFlow.
    """
    target = Path(filepath)
    _check(target)
    import tensorflow as tf

    signatures = _signatures(model)
    module = tf.Module()
    # What the signatures read and nothing else: no optimizer, no metrics, no seeds, each variable
    # once.
    module.weights = list({v.ref(): v for f in signatures.values() for v in f.variables}.values())
    if model.features is not None:
        module.lookups = model.features.lookup_resources()
    with _written_aside(target) as folder:
        tf.saved_model.save(module, str(folder), signatures=signatures)
        restore_column_names(folder, _arguments(model))
    return list(signatures)


@contextmanager
def _written_aside(target: Path) -> Iterator[Path]:
    """A new folder that takes the name `target` at the end; after an error nothing is left."""
    made = [parent for parent in target.parents if not parent.exists()]  # the deepest first
    aside = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name that is no version number: a server that polls the folder passes it over.
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield aside
        aside.chmod(0o755)
        aside.rename(target)
    except BaseException:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # never made, or somebody else writes there now
                parent.rmdir()
        raise


def _check(target: Path) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is written by Keras on TensorFlow: load the saved model with "
            "KERAS_BACKEND=tensorflow and export it there. "
            f"Received: backend={keras.backend.backend()!r}"
        )
    if target.exists():
        raise ValueError(
            "Argument `filepath` must name a folder that does not exist yet. "
            f"Received: filepath={target}"
        )


def _signatures(model: Any) -> dict[str, Any]:
    """The concrete functions by signature name."""
    arguments = _arguments(model)
    packed_specs = _named(_input_specs(model), arguments)
    raw_specs = packed_specs
    if model.features is not None:
        raw_specs = _named(model.features.serving_signature(), arguments)
    encode = (lambda packed: packed) if model.features is None else model.features.encode_tensors
    by_name = {task.name: task for task in model.tasks}
    everything = _predictor(model, model.tasks, by_name)
    signatures = {"serving_default": _concrete(everything, encode, raw_specs)}
    for task in model.tasks:
        signatures[task.name] = _concrete(_predictor(model, [task], by_name), encode, raw_specs)
    signatures["packed"] = _concrete(everything, lambda packed: packed, packed_specs)
    return signatures


def _arguments(model: Any) -> dict[str, str]:
    """The argument that stands for each column and each input."""
    columns = {} if model.features is None else model.features.serving_signature()
    return argument_names(sorted({*columns, *_inputs_by_name(model)}))


def _named(specs: Mapping[str, Any], arguments: Mapping[str, str]) -> dict[str, Any]:
    import tensorflow as tf

    return {
        name: tf.TensorSpec(spec.shape, spec.dtype, arguments[name]) for name, spec in specs.items()
    }


def _input_specs(model: Any) -> dict[str, Any]:
    import tensorflow as tf

    return {
        name: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)
        for name, tensor in _inputs_by_name(model).items()
    }


def _inputs_by_name(model: Any) -> dict[str, keras.KerasTensor]:
    """The model's inputs by the keys of their dict, or else by names of their own."""
    if isinstance(model.input, Mapping):
        return dict(model.input)
    return {tensor.name: tensor for tensor in keras.tree.flatten(model.input)}


def _predictor(
    model: Any, tasks: list[Task], by_name: Mapping[str, Task]
) -> Callable[[Tensors], Tensors]:
    """The part of the model's graph that `tasks` need, and their products along `given`."""
    joint = {
        task.name: [task.name, *(parent.name for parent in given_chain(task, by_name))]
        for task in tasks
        if task.trained_on == "all"
    }
    needed = {task.name for task in tasks} | {name for chain in joint.values() for name in chain}
    graph = TaskGraph({name: model.output[name] for name in sorted(needed)})
    inputs = {id(tensor): name for name, tensor in _inputs_by_name(model).items()}

    def predict(packed: Tensors) -> Tensors:
        outputs = graph({tensor: packed[name] for tensor, name in inputs.items()})
        predictions = {task.name: outputs[task.name] for task in tasks}
        for name, chain in joint.items():
            factors = [outputs[link] for link in chain]  # (B, 1) each
            predictions[name + JOINT_SUFFIX] = keras.ops.prod(keras.ops.stack(factors), axis=0)
        return predictions

    return predict


def _concrete(
    predict: Callable[[Tensors], Tensors],
    encode: Callable[[Tensors], Tensors],
    specs: Mapping[str, Any],
) -> Any:
    import tensorflow as tf

    function = tf.function(
        lambda inputs: predict(encode(inputs)), input_signature=[dict(specs)], autograph=False
    )
    return function.get_concrete_function()
