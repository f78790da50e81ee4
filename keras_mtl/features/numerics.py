"""From a column's numbers to features: standardised values, or the id of a bin."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Moments:
    """Count, mean, squared deviations of a stream; parts merge (Chan, Golub, LeVeque 1979)."""

    log: bool = False
    count: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def update(self, numbers: np.ndarray) -> None:
        """Adds float32 numbers; NaN counts as missing."""
        present = signed_log(numbers) if self.log else numbers
        present = present[~np.isnan(present)].astype(np.float64)
        chunk = Moments(count=len(present), missing=len(numbers) - len(present))
        if len(present):
            chunk.mean = float(present.mean())
            chunk.squares = float(np.square(present - chunk.mean).sum())
        self.merge(chunk)

    def merge(self, other: "Moments") -> None:
        """Adds what `other` has seen."""
        count = self.count + other.count
        if other.count:
            shift = other.mean - self.mean
            self.mean += shift * other.count / count
            self.squares += other.squares + shift**2 * self.count * other.count / count
        self.count = count
        self.missing += other.missing

    def scale(self) -> float:
        """The standard deviation; 1 where float32 does not resolve it, as of a constant."""
        deviation = float(np.sqrt(self.squares / self.count)) if self.count else 0.0
        return deviation if deviation > 1e-7 * abs(self.mean) else 1.0


@dataclasses.dataclass(frozen=True)
class Standardization:
    """(f(x) - mean) / scale, 0 where x is missing; then, if `indicator`, 1 where x is missing."""

    mean: float
    scale: float
    log: bool
    indicator: bool

    @property
    def width(self) -> int:
        """Number of features."""
        return 1 + self.indicator

    def features(self, numbers: np.ndarray) -> np.ndarray:
        """The features, float32 (N, width), of float32 numbers (N,)."""
        values = signed_log(numbers) if self.log else numbers
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            values = (values - np.float32(self.mean)) / np.float32(self.scale)
        missing = ~np.isfinite(values)  # also where float32 cannot hold the result
        columns = [np.where(missing, np.float32(0), values), missing][: self.width]
        return np.stack(columns, axis=-1).astype(np.float32)  # (N, 1 or 2)


@dataclasses.dataclass(frozen=True)
class Bins:
    """id 0: missing, 1 + number of edges <= x."""

    edges: tuple[float, ...]

    reserved = 1
    unknown = 0  # the id of a value that is none of its own

    @property
    def size(self) -> int:
        """Number of ids."""
        return self.reserved + 1 + len(self.edges)

    def ids(self, numbers: np.ndarray) -> np.ndarray:
        """The ids, int32 (N,), of float32 numbers (N,)."""
        bins = 1 + np.searchsorted(np.array(self.edges, np.float32), numbers, side="right")
        return np.where(np.isnan(numbers), 0, bins).astype(np.int32)


def signed_log(numbers: np.ndarray) -> np.ndarray:
    """sign(x) log(1 + |x|)."""
    return np.sign(numbers) * np.log1p(np.abs(numbers))
