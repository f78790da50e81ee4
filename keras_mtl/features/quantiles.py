"""Quantile bins from one pass over the data."""

import numpy as np

from keras_mtl.features.numerics import Bins
from keras_mtl.features.resolution import (
    ROWS,
    are_whole,
    as_float32,
    between_float32,
    example_dtype,
    in_float32,
)

# exact up to twice as many distinct values
CAPACITY = 2**17
# share of rows that may lie in another bin, so that float32 tells bins apart
FEW = 0.01


class QuantileSummary:
    """Distinct values and how often each came; streams of any length, merged in any order.

    Exact while a column has at most 2 * `capacity` distinct values. Beyond, it is reduced to
    `capacity` values at equal steps of rank. Each reduction moves a rank by at most rows / (2 *
    capacity) and needs `capacity` new values first, so after n rows a rank is off by at most n / (4
    * capacity^2) of them: 0.15 % after 100 million rows.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.values: np.ndarray = np.empty(0, np.float64)
        self.counts: np.ndarray = np.empty(0, np.float64)
        self.whole = True
        self.in_float32 = True
        self._pending: list[np.ndarray] = []

    def update(self, numbers: np.ndarray) -> None:
        """Adds float64 numbers; NaN does not count."""
        self._pending.append(numbers[~np.isnan(numbers)])
        # sorting the summary for every small chunk would cost more than reading the data
        if sum(map(len, self._pending)) > self.capacity:
            self.fold()

    def merge(self, other: "QuantileSummary") -> None:
        """Adds what `other` has seen."""
        other.fold()
        self.fold()
        self.whole &= other.whole
        self.in_float32 &= other.in_float32
        self._add(other.values, other.counts)

    def fold(self) -> None:
        """Brings `values` and `counts` up to date."""
        if self._pending:
            values, counts = np.unique(np.concatenate(self._pending), return_counts=True)
            self._pending = []
            # of all values: a reduction drops some
            self.whole &= are_whole(values)
            self.in_float32 &= in_float32(values)
            self._add(values, counts.astype(np.float64))

    def _add(self, values: np.ndarray, counts: np.ndarray) -> None:
        joined = np.concatenate([self.values, values])
        self.values, inverse = np.unique(joined, return_inverse=True)
        self.counts = np.bincount(
            inverse, np.concatenate([self.counts, counts]), minlength=len(self.values)
        )
        if len(self.values) > 2 * self.capacity:
            self._reduce()

    def _reduce(self) -> None:
        upper = np.cumsum(self.counts)
        ranks = (np.arange(self.capacity) + 0.5) * (upper[-1] / self.capacity)
        picked, times = np.unique(np.searchsorted(upper, ranks), return_counts=True)
        self.values = self.values[picked]
        self.counts = times * (upper[-1] / self.capacity)

    def edges(self, bins: int) -> np.ndarray:
        """Inner edges, float64, of at most `bins` bins: value v lies in bin sum(edges <= v)."""
        self.fold()
        last = _last_of_bin(self.counts, bins)
        low, high = self.values[last], self.values[last + 1]
        middle = low / 2 + high / 2  # their difference might overflow
        return np.where(middle > low, middle, high)

    def settle(self, edges: tuple[float, ...]) -> np.ndarray:
        """Edges that somebody gave, lowered to float32 where that moves no value to another bin.

        So 0.7 lies above an edge of 0.7 also where it was held in float32, which rounds it down. A
        column that float32 holds as it is is compared in float32.
        """
        self.fold()
        exact = np.array(edges)  # (E,)
        lower = np.minimum(exact, as_float32(exact))
        moves = np.searchsorted(self.values, lower) != np.searchsorted(self.values, exact)
        settled = np.where(moves & (not self.in_float32), exact, lower)
        return settled if np.all(np.diff(settled) > 0) else exact

    def edges_of_float32(self, bins: int) -> np.ndarray:
        """As `edges`, between numbers that float32 tells apart; exact where that moves more rows.

        So a request whose numbers are float32 finds the bin that training found.
        """
        exact = self.edges(bins)
        if self.whole or self.in_float32:
            return exact
        rounded = QuantileSummary(self.capacity)
        rounded._add(as_float32(self.values), self.counts)
        edges = between_float32(rounded.edges(bins))
        ids, exact_ids = (Bins(tuple(each)).ids(self.values) for each in (edges, exact))
        return edges if self._are_few(ids != exact_ids, FEW) else exact

    def _are_few(self, picked: np.ndarray, share: float) -> bool:
        """Whether rows with one of the picked values are at most this share of all rows."""
        return bool(self.counts[picked].sum() <= share * self.counts.sum())

    def finish(self, bins: int | tuple[float, ...]) -> Bins:
        """What was learned: quantiles, or the bins that somebody gave."""
        edges = self.edges_of_float32(bins) if isinstance(bins, int) else self.settle(bins)
        exact = Bins(tuple(edges.tolist()))
        moved = exact.ids(self.values) != exact.ids(as_float32(self.values))
        resolved = self.in_float32 if self.whole else self._are_few(moved, ROWS)
        return Bins(exact.edges, example_dtype(resolved, self.whole))


def _last_of_bin(counts: np.ndarray, bins: int) -> np.ndarray:
    """Positions of the sorted values after which a new bin starts; no bin is empty.

    A value more frequent than a bin's share fills exactly one bin, so the rare values beside it (of
    a column that is mostly zero, say) are resolved by all the other bins.
    """
    if len(counts) <= bins:
        return np.arange(len(counts) - 1)
    share = _share(counts, bins)
    upper = np.cumsum(np.minimum(counts / share, 1.0))
    heavy = upper[counts >= share]
    knots = np.round(np.unique(np.concatenate([[0.0], heavy - 1, heavy, [bins]])), 6)
    centres = upper - np.minimum(counts / share, 1.0) / 2
    cell = np.floor(np.interp(centres, knots, np.floor(knots + 0.5))).clip(max=bins - 1)
    return np.flatnonzero(np.diff(cell))


def _share(counts: np.ndarray, bins: int) -> float:
    """The s with sum(min(counts, s)) = bins * s: rows in a bin, heavy values having their own."""
    largest = np.sort(counts)[::-1][:bins]
    lighter = counts.sum() - np.concatenate([[0.0], np.cumsum(largest[:-1])])
    shares = lighter / (bins - np.arange(bins))
    return float(shares[np.argmax(largest <= shares)])
