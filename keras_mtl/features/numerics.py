"""From a column's numbers to what encodes them: standardised values and ids of bins."""

import dataclasses

import numpy as np

from keras_mtl.features.resolution import (
    ExampleDtype,
    are_whole,
    as_float32,
    example_dtype,
    in_float32,
    resolves_standardized,
)


@dataclasses.dataclass
class Moments:
    """Count, mean, squared deviations of a stream; parts merge (Chan, Golub, LeVeque 1979)."""

    log: bool = False
    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    rounding: float = 0.0  # the most that float32 changes a value
    whole: bool = True

    def update(self, numbers: np.ndarray) -> None:
        """Adds float64 numbers; NaN counts as missing."""
        present = numbers[~np.isnan(numbers)]
        chunk = Moments(count=len(present), missing=len(numbers) - len(present))
        if len(present):
            values = self._transformed(present)
            # sums of large numbers would lose what tells them apart
            shifted = values - values[0]
            centre = shifted.mean()
            chunk.mean = float(values[0] + centre)
            chunk.squares = float(np.square(shifted - centre).sum())
            chunk.rounding = self._rounding(present, values)
            chunk.whole = are_whole(present)
        self.merge(chunk)

    def _transformed(self, numbers: np.ndarray) -> np.ndarray:
        return signed_log(numbers) if self.log else numbers

    def _rounding(self, numbers: np.ndarray, values: np.ndarray) -> float:
        if in_float32(numbers):
            return 0.0
        return float(np.abs(self._transformed(as_float32(numbers)) - values).max())

    def merge(self, other: "Moments") -> None:
        """Adds what `other` has seen."""
        count = self.count + other.count
        if other.count:
            shift = other.mean - self.mean
            self.mean += shift * other.count / count
            self.squares += other.squares + shift**2 * self.count * other.count / count
        self.count = count
        self.missing += other.missing
        self.rounding = max(self.rounding, other.rounding)
        self.whole = self.whole and other.whole

    def scale(self) -> float:
        """The standard deviation; of a constant 1, or the step of float64 where that is more."""
        deviation = float(np.sqrt(self.squares / self.count)) if self.count else 0.0
        step = float(np.spacing(abs(self.mean)))
        return deviation if deviation > step else max(1.0, step)

    def finish(self, marks_missing: bool) -> "Standardization":
        """What was learned; a feature tells of missing values only if `marks_missing`."""
        scale = self.scale()
        mean = None if self.log else self.mean
        resolved = resolves_standardized(self.rounding, mean, scale, self.whole)
        return Standardization(
            self.mean,
            scale,
            self.log,
            indicator=marks_missing and self.missing > 0,
            example_dtype=example_dtype(resolved, self.whole),
        )


@dataclasses.dataclass(frozen=True)
class Standardization:
    """(f(x) - mean) / scale, 0 where x is missing; then, if `indicator`, 1 where x is missing."""

    mean: float
    scale: float
    log: bool
    indicator: bool
    example_dtype: ExampleDtype = "float32"

    @property
    def width(self) -> int:
        """Number of features."""
        return 1 + self.indicator

    def features(self, numbers: np.ndarray) -> np.ndarray:
        """The features, float32 (N, width), of float64 numbers (N,)."""
        values = (signed_log(numbers) if self.log else numbers) - self.mean
        values /= self.scale
        with np.errstate(over="ignore"):
            standardized = values.astype(np.float32)
        missing = ~np.isfinite(standardized)  # also where float32 cannot hold the result
        standardized[missing] = 0
        columns = [standardized, missing][: self.width]
        return np.stack(columns, axis=-1, dtype=np.float32)  # (N, 1 or 2)


@dataclasses.dataclass(frozen=True)
class Bins:
    """id 0: missing, 1 + number of edges <= x."""

    edges: tuple[float, ...]
    example_dtype: ExampleDtype = "float32"

    reserved = 1
    unknown = 0  # the id of a value that is none of its own

    @property
    def size(self) -> int:
        """Number of ids."""
        return self.reserved + 1 + len(self.edges)

    def ids(self, numbers: np.ndarray) -> np.ndarray:
        """The ids, int32 (N,), of float64 numbers (N,)."""
        bins = 1 + np.searchsorted(np.array(self.edges, np.float64), numbers, side="right")
        return np.where(np.isnan(numbers), 0, bins).astype(np.int32)


def signed_log(numbers: np.ndarray) -> np.ndarray:
    """sign(x) log(1 + |x|)."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))
