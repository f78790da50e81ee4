"""What users hand in as inputs: arrays by name, checked before Keras sees them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl.checks import did_you_mean
from keras_mtl.features.input_limits import id_limits, tables_of
from keras_mtl.features.packed_columns import PackedColumns


def prepare_inputs(expected: Any, x: Any) -> Any:
    """Inputs held in arrays, as the model takes them; datasets and generators pass unread.

    Args:
        expected: The model's own inputs: a `KerasTensor`, a dict or a list of them.
        x: Arrays, tensors, lists or DataFrames in that structure; by name where there are several.

    Raises:
        ValueError: If an input is not there, or is not of the kind or shape that the model reads.
    """
    if isinstance(x, PackedColumns):
        _check_table(expected, x)
        x = dict(x)  # Keras compares the types of structures
    if isinstance(expected, keras.KerasTensor):
        if isinstance(x, Mapping):
            _check_names({expected.name: expected}, x)
            x = x[expected.name]
        return _as_array(expected, x) if x is None or is_array_like(x) else x
    if isinstance(x, Mapping):
        tensors = expected if isinstance(expected, Mapping) else {t.name: t for t in expected}
        _check_names(tensors, x)
        return {k: _as_array(tensors[k], v) if k in tensors else v for k, v in x.items()}
    by_place = isinstance(expected, list | tuple) and isinstance(x, list | tuple)
    if by_place and len(x) == len(expected):
        return [_as_array(tensor, value) for tensor, value in zip(expected, x, strict=True)]
    if x is None or is_array_like(x):
        names = [tensor.name for tensor in keras.tree.flatten(expected)]
        raise ValueError(
            "Argument `x` must be a dict by name of input. "
            f"Received: x of type {type(x).__name__}, inputs={names}"
        )
    return x


def is_array_like(value: Any) -> bool:
    """Whether `value` holds rows itself, as an array, a list or a DataFrame does."""
    return isinstance(value, list | tuple) or hasattr(value, "__array__")


def row_count(x: Any) -> int | None:
    """Rows of prepared inputs; None where they are not held in arrays."""
    rows = [len(value) for value in keras.tree.flatten(x) if hasattr(value, "__array__")]
    return rows[0] if rows else None


def as_numbers(what: str, value: Any) -> np.ndarray:
    """`value` as an array of numbers.

    Raises:
        ValueError: If it holds anything else.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{what} must be rows of one shape. Received: {type(value).__name__}, {error}"
        ) from error
    # bfloat16 is a kind of its own
    if array.dtype.kind not in "fiub" and "float" not in array.dtype.name:
        raise ValueError(f"{what} must be numbers. Received: dtype={array.dtype}")
    return array


def _check_names(tensors: Mapping[str, Any], x: Mapping[str, Any]) -> None:
    for name, tensor in tensors.items():
        if x.get(name) is None and not _is_optional(tensor):
            raise ValueError(
                f"Argument `x` must hold every input of the model. Missing: {name!r}."
                f"{did_you_mean(name, x)} Received: {list(x)}"
            )


def _is_optional(tensor: Any) -> bool:
    return bool(getattr(tensor._keras_history.operation, "optional", False))


def _as_array(tensor: Any, value: Any) -> Any:
    """`value` as the input `tensor` takes it; tensors and what holds no dense rows stay."""
    if value is None and _is_optional(tensor):
        return None
    if np.ma.is_masked(value):
        raise ValueError(
            f"Input {tensor.name!r} must not hold masked values: a model reads what lies below "
            "them. Columns of a `TabularFeatures` table may. Received: a masked array"
        )
    if value is None or (is_array_like(value) and not keras.ops.is_tensor(value)):
        is_string = tensor.dtype == "string"
        what = f"Input {tensor.name!r}"
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


def _check_table(expected: Any, x: PackedColumns) -> None:
    """Raises `ValueError` where another table than the model's own encoded `x`."""
    tables = {t.fingerprint for i in keras.tree.flatten(expected) for t in tables_of(i)}
    if x.fingerprint is not None and tables and x.fingerprint not in tables:
        raise ValueError(
            "Argument `x` must be encoded by the model's own table, `model.features.encode(...)`: "
            "another one gives the same values other ids. Received: x encoded by the table of "
            f"fingerprint {x.fingerprint}, where the model's has {', '.join(sorted(tables))}"
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
