"""Raw data as users hold it -> lists and arrays of few, checked types."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from keras_mtl.checks import did_you_mean
from keras_mtl.features.values import MISSING_INTEGER, Kind

# a list of str, bytes, int and None
Values = list[Any]

# of float32: squares of larger numbers leave float64, and they mean "none" where they are used
LARGEST = float(np.finfo(np.float32).max)
# of float64: TensorFlow's processors, which may not read smaller ones, take them for 0
SMALLEST = float(np.finfo(np.float64).smallest_normal)


def chunks(data: Any) -> Iterator[Any]:
    """The chunks of `data`: itself, or the tables that an iterable yields."""
    if column_names(data) is not None:
        yield data
    elif hasattr(data, "__iter__"):
        yield from data
    else:
        raise TypeError(_not_a_table(data))


def column_names(data: Any) -> list[str] | None:
    """The columns of a dict, a DataFrame, an Arrow table or batch; None for anything else."""
    if isinstance(data, Mapping):
        return list(data)
    # an Arrow table's `columns` are arrays
    names = getattr(data, "column_names", getattr(data, "columns", None))
    return None if names is None else list(names)


def select(data: Any, names: list[str]) -> dict[str, Any]:
    """The columns `names` of one chunk, all of one length; it may hold others."""
    present = column_names(data)
    if present is None:
        raise TypeError(_not_a_table(data))
    check_names(names, present)
    columns = {name: data[name] for name in names}
    for name, column in columns.items():
        if not hasattr(column, "__len__") or getattr(column, "shape", None) == ():
            raise TypeError(f"Column `{name}` must hold a value for each row. Received: {column!r}")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Columns must have one length. Received: {lengths}")
    return columns


def check_names(names: list[str], present: Collection[str]) -> None:
    """Raises `ValueError` where one of `names` is not `present`; others may be there."""
    others = [name for name in present if name not in names]
    for name in names:
        if name not in present:
            raise ValueError(
                f"Column `{name}` is missing from the data.{did_you_mean(name, others)} "
                f"Expected: {names}. Received: {list(present)}"
            )


def check_kind(name: str, expected: Kind | None, kind: Kind | None) -> None:
    """Raises `TypeError` where a column holds another kind of values than expected; None is any."""
    if None not in (expected, kind) and kind != expected:
        raise TypeError(f"Column `{name}` must hold {expected}s. Received: {kind}s")


def read_numbers(name: str, column: Any) -> np.ndarray:
    """A column of numbers as float64 (B,); NaN where a value is missing or beyond `LARGEST`.

    Below `SMALLEST` a number is 0.
    """
    if isinstance(column, np.ma.MaskedArray) and column.dtype.kind in "biuf":
        column = np.ma.filled(column.astype(np.float64), np.nan)
    # A list may be ragged, and NumPy would make text of numbers beside a string.
    array = _one_dimensional(name, _as_array(column))
    if array.dtype.kind == "O":
        array = np.array([_to_float(name, value) for value in array.tolist()], np.float64)
    elif array.dtype.kind not in "biuf":
        first = array[0].item() if len(array) else array.dtype
        raise TypeError(f"Column `{name}` must hold numbers. Received: {first!r}")
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float64)
    # NaN is not within either
    sizes = np.abs(numbers)
    present = (sizes <= LARGEST) & (numbers != MISSING_INTEGER)
    numbers = numbers if present.all() else np.where(present, numbers, np.nan)
    subnormal = (sizes > 0) & (sizes < SMALLEST)
    return np.where(subnormal, 0.0, numbers) if subnormal.any() else numbers


def read_categories(name: str, column: Any) -> tuple[Kind | None, Values]:
    """A column of categories as a list, and their kind; the kind is None where all are missing."""
    # NumPy would make the text "nan" of a NaN among strings
    return _read_values(name, _one_dimensional(name, _as_array(column)))


def read_sequences(name: str, column: Any) -> tuple[Kind | None, Values, np.ndarray]:
    """Rows of lists, or an array (B, S), as one flat list: its kind, values, rows' lengths."""
    array = column if isinstance(column, list | tuple) else _as_array(column)
    if isinstance(array, np.ndarray) and array.ndim == 2:
        kind, values = _read_values(name, array.reshape(-1))
        return kind, values, np.full(len(array), array.shape[1])
    rows = [() if is_missing(row) else _unmasked(row) for row in array]
    for row in rows:
        listed = isinstance(row, Sequence) or hasattr(row, "__array__")
        if not listed or isinstance(row, str | bytes):
            raise TypeError(f"Column `{name}` must hold lists. Received: {row!r}")
        if getattr(row, "ndim", 1) != 1:
            raise ValueError(f"Column `{name}` must hold flat lists. Received: {row!r}")
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    flat = np.empty(int(lengths.sum()), object)
    flat[:] = list(chain.from_iterable(rows))
    kind, values = _read_values(name, flat)
    return kind, values, lengths


def is_missing(value: Any) -> bool:
    """Whether `value` is None, NaN, NumPy's `masked`, or pandas' NA or NaT.

    Pandas itself need not be installed.
    """
    if value is None or value is np.ma.masked:
        return True
    nan = isinstance(value, float | np.floating) and value != value
    return nan or type(value).__name__ in ("NAType", "NaTType")


def _as_array(column: Any) -> np.ndarray:
    """A column as an array, of objects where it is a list."""
    dtype = object if isinstance(column, list | tuple) else None
    return np.asarray(_unmasked(column), dtype)


def _unmasked(column: Any) -> Any:
    """The same; of a masked array one of objects, with None for what is masked."""
    if not isinstance(column, np.ma.MaskedArray) or not np.ma.is_masked(column):
        return column
    objects = column.data.astype(object)
    objects[np.ma.getmaskarray(column)] = None
    return objects


def _to_float(name: str, value: Any) -> float:
    """One value as a float; a number beyond all floats is as infinite as they become."""
    if is_missing(value):
        return math.nan
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        pass  # as for text
    raise TypeError(f"Column `{name}` must hold numbers. Received: {value!r}")


def _not_a_table(value: Any) -> str:
    return (
        "Argument `data` must be a dict of arrays, a DataFrame, or an iterable of them. "
        f"Received: {type(value).__name__}"
    )


def _one_dimensional(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1:
        raise ValueError(f"Column `{name}` must have shape (B,). Received: shape={array.shape}")
    return array


def _read_values(name: str, array: np.ndarray) -> tuple[Kind | None, Values]:
    if array.dtype.kind in "US":
        return "string", array.tolist()
    if array.dtype.kind in "biu":
        return "integer", array.tolist()
    if array.dtype.kind not in "fOT":
        raise TypeError(
            f"Column `{name}` must hold strings, bytes or integers. Received: {array.dtype}"
        )
    values = array.tolist()
    types = set(map(type, values))
    if not types <= {str, bytes, int, bool, type(None)}:
        values = [_plain(name, value) for value in values]
        types = set(map(type, values))
    strings, integers = types & {str, bytes}, types & {int, bool}
    if strings and integers:
        raise TypeError(
            f"Column `{name}` must hold strings or integers, not both. Received: "
            f"{next(v for v in values if type(v) in strings)!r} and "
            f"{next(v for v in values if type(v) in integers)!r}"
        )
    return "string" if strings else "integer" if integers else None, values


def _plain(name: str, value: Any) -> Any:
    """One value as str, bytes, int or None."""
    if isinstance(value, str | bytes | int):
        return value.item() if isinstance(value, np.generic) else value
    if is_missing(value):
        return None
    if isinstance(value, np.integer | np.bool_ | float | np.floating) and value % 1 == 0:
        return int(value)
    raise TypeError(f"Column `{name}` must hold strings, bytes or integers. Received: {value!r}")
