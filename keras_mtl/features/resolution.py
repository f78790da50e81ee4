"""Whether float32, the one type of floats in a `tf.train.Example`, resolves a column of numbers."""

from typing import Literal, TypeAlias

import numpy as np

# in which an example holds a column; None: in no type that it has
ExampleDtype: TypeAlias = Literal["float32", "int64"] | None

# of standardised numbers with fractions, relative where they are beyond 1: an example has no wider
# type for them, and 300.1 +- 5 is off by 3e-6
TOLERANCE = 1e-4
# share of rows with fractions that may change their bin: a few lie beside an edge
ROWS = 1e-4


def as_float32(numbers: np.ndarray) -> np.ndarray:
    """The float64 numbers that come back from float32."""
    return numbers.astype(np.float32).astype(np.float64)


def in_float32(numbers: np.ndarray) -> bool:
    """Whether float32 holds all numbers as they are."""
    return np.array_equal(as_float32(numbers), numbers)


def are_whole(numbers: np.ndarray) -> bool:
    """Whether all numbers are integers of 64 bits."""
    return bool(np.all((numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**63)))


def between_float32(edges: np.ndarray) -> np.ndarray:
    """Edges, each moved to the middle of the two numbers of float32 that it lies between.

    A number and what float32 makes of it lie on one side of such an edge. An edge may itself be a
    number of float32: then it lies between that and the one below.
    """
    nearest = edges.astype(np.float32)
    above = np.where(nearest < edges, np.nextafter(nearest, np.float32(np.inf)), nearest)
    below = np.nextafter(above, np.float32(-np.inf))
    return below.astype(np.float64) / 2 + above.astype(np.float64) / 2


def example_dtype(resolved: bool, whole: bool) -> ExampleDtype:
    """The type in which an example holds a column that float32 resolves or not."""
    if resolved:
        return "float32"
    return "int64" if whole else None


def finer(one: ExampleDtype, two: ExampleDtype) -> ExampleDtype:
    """The type that resolves a column for two uses: float32 resolves less than any other."""
    return two if one == "float32" else one


def resolves_standardized(rounding: float, mean: float | None, scale: float, whole: bool) -> bool:
    """Whether (x - mean) / scale is the same, to a tolerance, where x is rounded to float32.

    Whole numbers, which an example can hold as integers, must not be rounded at all.

    Args:
        rounding: The most that rounding changed a value x that was seen.
        mean: of the values. Those beyond twice of it are so large, once standardised, that rounding
            them is within the tolerance; the others change by half a step of float32 at most. None
            of logarithms, which are not rounded by their size.
        scale: of the values.
        whole: Whether all values are integers.
    """
    if whole:
        return rounding == 0
    if mean is not None:
        rounding = min(rounding, float(np.finfo(np.float32).eps) * abs(mean))
    return rounding <= TOLERANCE * scale
