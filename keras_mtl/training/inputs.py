"""What users hand in as inputs: arrays by name, checked before Keras sees them."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl.checks import did_you_mean
from keras_mtl.features.input_limits import id_limits, tables_of
from keras_mtl.features.packed_columns import fingerprint_of
from keras_mtl.masked_numbers import as_numbers, check_unmasked


def prepare_inputs(expected: Any, x: Any, table: Any = None) -> Any:
    """Inputs held in arrays, as the model takes them; datasets and generators pass unread.

    Args:
        expected: The model's own inputs: a `KerasTensor`, a dict or a list of them.
        x: Arrays, tensors, lists or DataFrames in that structure; by name where there are several,
            as a dict or a DataFrame; alone where there is one.
        table: The model's `TabularFeatures`, or None: tells raw columns from inputs.

    Raises:
        ValueError: If an input is not there, or is not of the kind or shape that the model reads.
    """
    check_encoded(expected, x)
    tensors = _by_name(expected)
    _check_dataset(tensors, x, table)
    if len(tensors) > 1 and hasattr(x, "columns"):  # a DataFrame
        x = {name: x[name] for name in x.columns}
    if isinstance(x, Mapping):
        _check_names(tensors, x, table)
        x = {name: _as_array(tensors[name], x[name], table) for name in tensors if name in x}
        return x[expected.name] if isinstance(expected, keras.KerasTensor) else x
    if x is not None and not is_array_like(x):
        return x
    if len(tensors) == 1:
        (tensor,) = tensors.values()
        array = _as_array(tensor, x if tensor is expected else _alone(tensor, x), table)
        return keras.tree.pack_sequence_as(expected, [array])
    lists = isinstance(expected, list | tuple) and isinstance(x, list | tuple)
    if lists and len(x) == len(expected):
        return [_as_array(tensor, value) for tensor, value in zip(expected, x, strict=True)]
    raise ValueError(
        "Argument `x` must be a dict by name of input. "
        f"Received: x of type {type(x).__name__}, inputs={list(tensors)}"
    )


def unwrap(expected: Any, inputs: Any) -> Any:
    """Tensors of one input in the structure that the model was made with: alone, or in a list."""
    tensors = keras.tree.flatten(expected)
    if len(tensors) > 1:
        return inputs
    if isinstance(inputs, Mapping) and tensors[0].name in inputs:
        inputs = inputs[tensors[0].name]
    return keras.tree.pack_sequence_as(expected, [inputs]) if hasattr(inputs, "shape") else inputs


def _by_name(expected: Any) -> dict[str, keras.KerasTensor]:
    if isinstance(expected, Mapping):
        return dict(expected)
    return {tensor.name: tensor for tensor in keras.tree.flatten(expected)}


def _alone(tensor: keras.KerasTensor, x: Any) -> Any:
    """The one input, out of a list of it alone, or as it is."""
    if not isinstance(x, list | tuple) or len(x) != 1:
        return x
    # A list of one row is no list of one array.
    is_input = hasattr(x[0], "__array__") or np.ndim(x[0]) >= len(tensor.shape)
    return x[0] if is_input else x


def is_array_like(value: Any) -> bool:
    """Whether `value` holds rows itself, as an array, a list or a DataFrame does."""
    return isinstance(value, list | tuple) or hasattr(value, "__array__")


def row_count(x: Any) -> int | None:
    """Rows of prepared inputs; None where they are not held in arrays."""
    rows = [len(value) for value in keras.tree.flatten(x) if hasattr(value, "__array__")]
    return rows[0] if rows else None


def _check_names(tensors: Mapping[str, Any], x: Mapping[str, Any], table: Any) -> None:
    for name, tensor in tensors.items():
        if x.get(name) is None and not _is_optional(tensor):
            advice = _encoding_advice(table, x)
            raise ValueError(
                f"Argument `x` must hold every input of the model. Missing: {name!r}."
                f"{advice or did_you_mean(name, x)} Received: {list(x)}"
            )


def _check_dataset(tensors: Mapping[str, Any], x: Any, table: Any) -> None:
    """Raises `ValueError` for a `tf.data.Dataset` of raw columns; Keras asks for inputs alone."""
    spec = getattr(x, "element_spec", None)
    columns = spec[0] if isinstance(spec, tuple) and spec else spec
    if isinstance(columns, Mapping) and _encoding_advice(table, columns):
        _check_names(tensors, columns, table)


def _encoding_advice(table: Any, names: Iterable[str]) -> str:
    """What to do with raw columns of `table`, where `names` are some."""
    if table is None or not {column.name for column in table.columns} & {*names}:
        return ""
    return (
        " Encode raw columns first: `model.features.encode(x)`, or in a dataset "
        "`model.features.encode_tensors(x)`."
    )


def _is_optional(tensor: Any) -> bool:
    return bool(getattr(tensor._keras_history.operation, "optional", False))


def _as_array(tensor: Any, value: Any, table: Any = None) -> Any:
    """`value` as the input `tensor` takes it; tensors and what holds no dense rows stay."""
    if value is None and _is_optional(tensor):
        return None
    check_unmasked(f"Input {tensor.name!r}", value, table)
    if value is None or (is_array_like(value) and not keras.ops.is_tensor(value)):
        is_string = tensor.dtype == "string"
        made = "" if table is None else ", which `model.features.encode(...)` makes,"
        what = f"Input {tensor.name!r}{made}"
        value = np.asarray(value) if is_string else as_numbers(what, value)
    shape = getattr(value, "shape", None)
    if shape is not None and not _fits(tuple(shape), tuple(tensor.shape)):
        wanted = ", ".join(
            ["B", *("?" if size is None else str(size) for size in tensor.shape[1:])]
        )
        raise ValueError(
            f"Input {tensor.name!r} must have shape ({wanted}). Received: shape={tuple(shape)}"
        )
    _check_ids(tensor, value)
    return value


def _check_ids(tensor: Any, value: Any) -> None:
    limits = id_limits(tensor)
    if limits is not None and _holds_values(value):
        ids = np.asarray(value)
        if ids.size:
            limits.check(ids)


def _holds_values(value: Any) -> bool:
    """Whether `value` is an array, of NumPy or of the backend, and no tensor of a graph."""
    on_jax = keras.backend.backend() == "jax" and keras.ops.is_tensor(value)
    return isinstance(value, np.ndarray) or on_jax or hasattr(value, "numpy")


def table_fingerprints(expected: Any) -> frozenset[str]:
    """Fingerprints of the tables whose packed values the model's own inputs hold."""
    return frozenset(t.fingerprint for i in keras.tree.flatten(expected) for t in tables_of(i))


def check_encoded(expected: Any, x: Any) -> None:
    """As `check_table`, of a model with the inputs `expected`; other dicts cost nothing."""
    if fingerprint_of(x) is not None:
        check_table(table_fingerprints(expected), x)


def check_table(fingerprints: frozenset[str], x: Any) -> None:
    """Raises `ValueError` where another table than the model's own encoded `x`."""
    fingerprint = fingerprint_of(x)
    if fingerprint is not None and fingerprints and fingerprint not in fingerprints:
        raise ValueError(
            "Argument `x` must be encoded by the model's own table, `model.features.encode(...)`: "
            "another one gives the same values other ids. Received: x encoded by the table of "
            f"fingerprint {fingerprint}, where the model's has {', '.join(sorted(fingerprints))}"
        )


def _fits(shape: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    """Whether rows of `shape` are what is wanted; Keras adds or drops a last axis of 1."""
    forms = [shape, (*shape, 1)] + ([shape[:-1]] if shape[-1:] == (1,) else [])
    return any(
        len(form) == len(wanted)
        and all(want in (None, have) for have, want in zip(form[1:], wanted[1:], strict=True))
        for form in forms
        if form
    )
