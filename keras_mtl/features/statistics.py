"""What one pass over raw data learns; chunks add up, and partial results merge."""

from collections import Counter
from typing import Any

import numpy as np

from keras_mtl.features.columns import Category, Column, Numeric, VocabularyColumn
from keras_mtl.features.markers import Markers
from keras_mtl.features.numerics import Bins, Moments, Standardization
from keras_mtl.features.quantiles import QuantileSummary
from keras_mtl.features.reading import (
    check_kind,
    read_categories,
    read_numbers,
    read_sequences,
    select,
)
from keras_mtl.features.values import Kind, Value, fits, to_text
from keras_mtl.features.vocabulary import HashBuckets, Vocabulary, VocabularySpec


class ValueCounts:
    """How often each value of one vocabulary came, and whether they are strings or integers."""

    def __init__(self, spec: VocabularySpec) -> None:
        self.spec = spec
        self.counts: Counter[Value] = Counter()
        self.markers = Markers(spec.missing)
        self.kind: Kind | None = None
        if spec.values is not None:
            self.kind = "string" if isinstance(spec.values[0], str) else "integer"

    def update(self, column: str, kind: Kind | None, values: list[Any]) -> None:
        """Adds the values of `column`; of given and hashed values only the kind is of interest."""
        check_kind(column, self.kind, kind)
        self.kind = self.kind or kind
        if self.markers.absent:
            self.markers.update(set(values))
        if self.spec.learned:
            for value, count in Counter(values).items():
                if isinstance(value, int) and not fits(value):
                    raise ValueError(
                        f"Column `{column}` must hold 64-bit integers with a sign, as a served one "
                        "does; `array.view('int64')` makes them of those without. "
                        f"Received: {value}"
                    )
                if value is not None:
                    self.counts[_uniform(value)] += count

    def merge(self, other: "ValueCounts") -> None:
        """Adds what `other` has seen."""
        check_kind(self.spec.name, self.kind, other.kind)
        self.kind = self.kind or other.kind
        self.counts.update(other.counts)
        self.markers.merge(other.markers)

    def finish(self) -> Vocabulary | HashBuckets:
        """The ids: learned values by falling frequency, equally frequent ones by rising value."""
        frequent = (
            (-count, value) for value, count in self.counts.items() if count >= self.spec.min_count
        )
        values = (value for _, value in sorted(frequent))
        vocabulary = self.spec.vocabulary(self.kind or "string", values)
        self.markers.warn(self.spec.name)
        return vocabulary


def _uniform(value: Any) -> Value:
    """Text of bytes, integers of booleans: equal values in one form, in files and fingerprints."""
    if isinstance(value, bytes):
        return to_text(value)
    return int(value) if isinstance(value, bool) else value


class TableStatistics:
    """Statistics of a table's columns: `update` with chunks, `merge` those of other workers.

    `TabularFeatures.statistics()` makes one that fits its table.

    Args:
        columns: The table's columns.
        specs: By name of a vocabulary, what the columns that share it ask of it.

    Example:

    >>> import numpy as np
    >>> from keras_mtl.features import TabularFeatures
    >>> table = TabularFeatures(categorical=["city"])
    >>> one, two = table.statistics(), table.statistics()
    >>> one.update({"city": np.array(["Rome", "Oslo"])})
    >>> two.update({"city": np.array(["Oslo"])})
    >>> one.merge(two)
    >>> table.adapt(one).vocabulary("city")
    ('Oslo', 'Rome')
    """

    def __init__(self, columns: tuple[Column, ...], specs: dict[str, VocabularySpec]) -> None:
        self.columns = columns
        self.rows = 0
        self.counts = {name: ValueCounts(spec) for name, spec in specs.items()}
        self.moments: dict[str, Moments] = {}
        self.quantiles: dict[str, QuantileSummary] = {}
        for column in columns:
            if isinstance(column, Numeric) and column.standardized:
                self.moments[column.name] = Moments(log=column.transform == "log")
            if isinstance(column, Numeric) and column.binned:
                self.quantiles[column.name] = QuantileSummary()

    def update(self, data: Any) -> None:
        """Adds one chunk: a dict of arrays or a DataFrame."""
        chunk = select(data, [column.name for column in self.columns])
        for column in self.columns:
            raw = chunk[column.name]
            if isinstance(column, Numeric):
                self._update_numbers(column.name, read_numbers(column.name, raw))
            elif isinstance(column, VocabularyColumn):
                read = read_categories if isinstance(column, Category) else read_sequences
                kind, values = read(column.name, raw)[:2]
                self.counts[column.vocabulary_name].update(column.name, kind, values)
        self.rows += len(raw)

    def _update_numbers(self, name: str, numbers: np.ndarray) -> None:
        for seen in (self.moments, self.quantiles):
            if name in seen:
                seen[name].update(numbers)

    def merge(self, other: "TableStatistics") -> None:
        """Adds what `other`, of an equal table, has seen."""
        if self.columns != other.columns:
            raise ValueError(
                "Argument `other` must hold the statistics of the same columns. Received: "
                f"other.columns={other.columns}, columns={self.columns}"
            )
        for name, counts in self.counts.items():
            counts.merge(other.counts[name])
        for name, moments in self.moments.items():
            moments.merge(other.moments[name])
        for name, quantiles in self.quantiles.items():
            quantiles.merge(other.quantiles[name])
        self.rows += other.rows

    def vocabularies(self) -> dict[str, Vocabulary | HashBuckets]:
        """What was learned of categories, by name of the vocabulary."""
        return {name: counts.finish() for name, counts in self.counts.items()}

    def bins(self) -> dict[str, Bins]:
        """The bins of numbers, by column."""
        numbers = [column for column in self.columns if isinstance(column, Numeric)]
        return {c.name: self.quantiles[c.name].finish(c.bins) for c in numbers if c.bins}

    def standardizations(self) -> dict[str, Standardization]:
        """How numbers are standardised, by column."""
        # a bin's id already says what is missing
        return {
            name: moments.finish(marks_missing=name not in self.quantiles)
            for name, moments in self.moments.items()
        }
