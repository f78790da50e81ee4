"""The record that every data set of this package is loaded into."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Split:
    """Rows of a data set.

    Attributes:
        columns: dict of arrays by column name, each (B,), or of packed features (B, D).
        labels: dict of arrays by task name, each (B,), or (B, S) with a label per entry.
    """

    columns: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.labels.values())))

    def take(self, rows: np.ndarray) -> "Split":
        """The rows with these indices, in this order."""
        return Split(
            {name: values[rows] for name, values in self.columns.items()},
            {name: values[rows] for name, values in self.labels.items()},
        )


@dataclass(frozen=True)
class Dataset:
    """Rows to train on, to choose by and to report on.

    Attributes:
        train: rows to train on.
        valid: rows to choose models and settings by.
        test: rows to report on, and nothing else.
        categorical: names of the raw columns that hold categories.
        numeric: names of the raw columns that hold numbers.
        sequences: names of the raw columns that hold a list a row. All three lists are empty where
            the columns are packed features already.
        classes: by task, what its labels 0, 1, ... stand for; a task whose labels are numbers, or
            no and yes, has no key.
    """

    train: Split
    valid: Split
    test: Split
    categorical: list[str] = field(default_factory=list)
    numeric: list[str] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
