"""A model as a SavedModel that TF Serving loads: raw columns in, named predictions out."""

import os
from pathlib import Path
from typing import Any

import keras

from keras_mtl.features.table import TabularFeatures
from keras_mtl.layers.layouts import stored_layouts
from keras_mtl.serving.argument_names import restore_column_names
from keras_mtl.serving.endpoint import serve_endpoint
from keras_mtl.serving.fingerprint import write_fingerprint
from keras_mtl.serving.signatures import (
    default_specs,
    input_arguments,
    input_specs,
    signature_functions,
)
from keras_mtl.serving.stored_layouts import StoredLayouts
from keras_mtl.serving.warmup import prediction_log, write_warmup
from keras_mtl.serving.warmup_requests import recorded, sample_inputs
from keras_mtl.serving.written_aside import check_free, written_aside


def export_saved_model(
    model: Any, filepath: str | os.PathLike[str], samples: Any = None
) -> list[str]:
    """Writes `model`, a `MultiTaskModel`, as a SavedModel; returns the names of its signatures.

    Signatures: `serving_default` takes the raw columns by name, or the model's own inputs where it
    has no table; one by the name of each task computes that task alone; `packed` takes the model's
    own inputs; `examples` takes serialized `tf.train.Example`s, unless an input of the model has
    axes of unknown size, or float32 does not resolve a column (whole numbers are then taken as
    int64; of others a warning says so). Outputs are float32, (B, ..., units), by task name. A task
    that is trained on the whole space also gives its product as `NAME_joint`.
    `keras.layers.TFSMLayer` finds what `serving_default` answers under `serve`, which takes a dict.
    Where float32 does not resolve a column, the layer needs `dtype="float64"`.

    Raises:
        ValueError: If `filepath` exists, Keras does not run on TensorFlow, or `samples` are not
            what the model takes.
        ImportError: If there are `samples` and tensorflow-serving-api is not installed.
    """
    target = Path(filepath)
    check_free(target)
    _check_backend()
    import tensorflow as tf

    inputs = None
    if samples is not None:
        prediction_log()
        inputs = sample_inputs(model.features, input_specs(model), samples)
    layouts = StoredLayouts()  # lives as long as the signatures, which hold no variables
    with stored_layouts(layouts):
        signatures = signature_functions(model)
    module = tf.Module()
    # What the signatures read and nothing else: no optimizer, no metrics, no seeds, each variable
    # once.
    module.weights = list({v.ref(): v for f in signatures.values() for v in f.variables}.values())
    module.lookups = lookup_tables(model)
    own_inputs = model.input if model.features is None else None
    module.serve = serve_endpoint(
        signatures["serving_default"], default_specs(model), own_inputs, _in_float32(model.features)
    )
    with written_aside(target) as folder:
        folder.mkdir()
        tf.saved_model.save(module, str(folder), signatures=signatures)
        restore_column_names(folder, input_arguments(model))
        write_fingerprint(folder)
        if inputs is not None:
            write_warmup(folder, model.name, recorded(signatures, inputs))
    return list(signatures)


def lookup_tables(model: Any) -> list[Any]:
    """Tables of the model's columns, and of Keras' lookup layers in a graph of one's own."""
    own = [] if model.features is None else model.features.lookup_resources()
    found = (getattr(layer, "lookup_table", None) for layer in model._flatten_layers())
    return [*own, *(table for table in found if table is not None)]


def _in_float32(table: TabularFeatures | None) -> bool:
    """Whether float32 resolves every number of a table."""
    return table is not None and set(table.encoding.example_dtypes.values()) <= {"float32"}


def _check_backend() -> None:
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel is written by Keras on TensorFlow: load the saved model with "
            "KERAS_BACKEND=tensorflow and export it there. "
            f"Received: backend={keras.backend.backend()!r}"
        )
