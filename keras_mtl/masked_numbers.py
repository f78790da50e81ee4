"""Arrays with holes, as NumPy and pandas have them: read with their holes, or refused."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

Array = TypeVar("Array", bound=np.ndarray)


def as_numbers(what: str, value: Any) -> np.ndarray:
    """`value` as an array of numbers.

    Raises:
        ValueError: If it holds anything else.
    """
    return _numbers(what, value, np.asarray)


def masked_numbers(what: str, value: Any) -> np.ma.MaskedArray:
    """`value` as an array of numbers, masked where it has none.

    Holes are the masked entries of masked arrays, also in lists, None, and pandas' NA.

    Raises:
        ValueError: If `value` holds anything else.
    """
    return _numbers(what, value, _with_holes)


def _numbers(what: str, value: Any, read: Callable[[Any], Array]) -> Array:
    try:
        array = read(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{what} must be rows of one shape. Received: {type(value).__name__}, {error}"
        ) from error
    # bfloat16 is a kind of its own
    if array.dtype.kind not in "fiub" and "float" not in array.dtype.name:
        raise ValueError(f"{what} must be numbers. Received: dtype={array.dtype}")
    check_bits(what, array)
    return array


def check_bits(what: str, array: np.ndarray) -> None:
    """Raises `ValueError` for longdouble, which neither Keras nor its backends know."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise ValueError(
            f"{what} must be numbers of at most 64 bits, as `astype('float64')` makes them. "
            f"Received: dtype={array.dtype}"
        )


def _with_holes(value: Any) -> np.ma.MaskedArray:
    array = _nullable(value) if is_nullable(value) else np.ma.asarray(with_masks(value))
    return _numbers_of_objects(array) if array.dtype == object else array


def check_unmasked(what: str, value: Any, table: Any = None) -> None:
    """Raises `ValueError` if an entry of `value`, inputs of a model, is masked.

    Args:
        what: Name of `value` in the message.
        value: What may hold masked entries.
        table: The model's `TabularFeatures`, or None: its columns may have masked values.
    """
    array = with_masks(value)
    masked = int(np.ma.count_masked(array)) if isinstance(array, np.ma.MaskedArray) else 0
    if masked:
        advice = (
            "" if table is None else " Columns that `model.features.encode` reads may have some."
        )
        raise ValueError(
            f"{what} must have no masked entries: a model reads numbers, so fill them, as "
            f"`x.filled(0.0)` does.{advice} Received: {masked} masked"
        )


def with_masks(value: Any) -> Any:
    """`value`, as one masked array where it is a list that holds some: NumPy drops their masks."""
    if not isinstance(value, list | tuple):
        return value
    rows = [with_masks(row) if isinstance(row, list | tuple) else row for row in value]
    holds_masks = any(isinstance(row, np.ma.MaskedArray) for row in rows)
    return np.ma.stack(rows) if holds_masks else value


def is_nullable(value: Any) -> bool:
    """Whether `value` is of pandas, and holds a column that is no array of NumPy's."""
    return hasattr(value, "isna") and not all(isinstance(d, np.dtype) for d in _dtypes(value))


def _dtypes(value: Any) -> list[Any]:
    """The dtype of a column, or those of a frame's columns."""
    dtypes = value.dtypes if hasattr(value, "dtypes") else value.dtype
    return np.ravel(np.asarray(dtypes, object)).tolist()


def _nullable(value: Any) -> np.ma.MaskedArray:
    """A nullable column or frame; integers stay integers, which NumPy reads as floats with NaN."""
    holes = np.asarray(value.isna())
    kinds = {dtype.kind for dtype in _dtypes(value)}
    filled = np.where(holes, 0, np.asarray(value))
    if kinds <= set("fiub"):
        filled = filled.astype("int64" if kinds <= set("iub") else "float64")
    return np.ma.array(filled, mask=holes)


def _numbers_of_objects(array: np.ma.MaskedArray) -> np.ma.MaskedArray:
    """Numbers and None in a dtype of numbers, masked where None; what holds others stays."""
    is_none = np.vectorize(lambda entry: entry is None, otypes=[bool])
    holes = np.ma.getmaskarray(array) | is_none(array.data)
    numbers = np.asarray(np.where(holes, 0, array.data).tolist())
    return np.ma.array(numbers, mask=holes) if numbers.dtype.kind in "fiub" else array
