"""The record that every data set is loaded into: this package's, and those of a user's studies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_mtl.checks import did_you_mean

PARTS = ("train", "valid", "test")
KINDS = ("categorical", "numeric", "sequences")


@dataclass(frozen=True)
class Split:
    """Rows of a data set: raw columns, or packed features, and their labels.

    Args:
        columns: dict of arrays by column name, each (B,) (a column of lists holds a list a row), or
            of packed features, one array (B, D); also a data frame or an Arrow table.
        labels: dict of arrays by task name, each (B,), (B, units), or (B, S) with a label per
            entry of a sequence; also a data frame or an Arrow table. NaN, or -1 among integers, is
            a missing label. Row weights and groups that a `Task` names stand here, too.

    Raises:
        ValueError: Where there is no column or no label, or their numbers of rows differ.

    Example:

    >>> rows = Split({"age": [31.0, 45.0, 28.0]}, {"bought": [1, 0, -1]})
    >>> len(rows), rows.take(np.array([2, 0])).columns["age"]
    (3, array([28., 31.]))
    """

    columns: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        # Frozen: what was given is replaced by arrays once, here.
        object.__setattr__(self, "columns", _arrays("columns", self.columns))
        object.__setattr__(self, "labels", _arrays("labels", self.labels))
        lengths = {name: len(values) for name, values in {**self.columns, **self.labels}.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                "The columns and labels of a Split must have one number of rows. "
                f"Received: {lengths}"
            )

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

    What a load function returns: this package's (`datasets.census_income.load`), or your own, which
    a study file names as `source = "module:function"`.

    Args:
        train: Rows to train on.
        valid: Rows to choose models and settings by.
        test: Rows to report on, and nothing else.
        categorical: Names of the raw columns that hold categories.
        numeric: Names of the raw columns that hold numbers.
        sequences: Names of the raw columns that hold a list a row. Every raw column stands in one
            of these three lists; all three are empty where the columns are one array of packed
            features.
        classes: By task, what its labels 0, 1, ... stand for; a task whose labels are numbers, or
            no and yes, has no key.

    Raises:
        ValueError: For a part that is no `Split`, parts whose columns or labels differ, a column
            that is in none of the lists or in two, or a name in a list that is no column.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> city, age = rng.choice(["Rome", "Oslo"], 100), rng.normal(40, 10, 100)
    >>> rows = Split({"city": city, "age": age}, {"bought": (age > 40).astype("int32")})
    >>> train, valid, test = (rows.take(part) for part in np.split(rng.permutation(100), [80, 90]))
    >>> data = Dataset(train, valid, test, categorical=["city"], numeric=["age"])
    >>> [len(part) for part in (data.train, data.valid, data.test)]
    [80, 10, 10]
    """

    train: Split
    valid: Split
    test: Split
    categorical: list[str] = field(default_factory=list)
    numeric: list[str] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in PARTS:
            _check_part(part, getattr(self, part), self.train)
        for kind in KINDS:
            _check_names(kind, getattr(self, kind), self.train.columns)
        named = [name for kind in KINDS for name in getattr(self, kind)]
        if named:
            _check_each_once(named, self.train.columns)
        else:
            _check_packed(self.train.columns)


def _arrays(argument: str, table: Any) -> dict[str, np.ndarray]:
    """A dict, a data frame or an Arrow table as a dict of arrays, or else a `ValueError`."""
    named = table if hasattr(table, "items") else _arrow_columns(table)
    columns = dict(named.items())
    if not columns:
        raise ValueError(
            f"Argument `{argument}` of a Split must be a dict of arrays by name, a data frame or "
            f"an Arrow table, with at least one. Received: {argument}={table!r}"
        )
    arrays = {name: _array(values) for name, values in columns.items()}
    for name, array in arrays.items():
        if not array.ndim:
            raise ValueError(
                f"Argument `{argument}` of a Split must hold a value for each row. "
                f"Received: {name}={columns[name]!r}"
            )
    return arrays


def _arrow_columns(table: Any) -> dict[str, Any]:
    return {name: table[name] for name in getattr(table, "column_names", ())}


def _array(values: Any) -> np.ndarray:
    """A column of a data frame or of Arrow, a list or an array as an array."""
    if isinstance(values, np.ndarray):
        return values
    # Arrow's own `to_numpy` refuses what it would have to copy; its columns have no `dtype`.
    if hasattr(values, "to_numpy") and hasattr(values, "dtype"):
        array = values.to_numpy()
        # NumPy's integers and booleans have no NA; among its floats it is NaN.
        numbers = array.dtype.kind == "O" and getattr(values.dtype, "kind", "O") in "iufb"
        return values.to_numpy(np.float64, na_value=np.nan) if numbers else array
    try:
        return np.asarray(values)
    except ValueError:  # lists of several lengths: a sequence a row
        ragged = np.empty(len(values), object)
        ragged[:] = values
        return ragged


def _check_part(name: str, part: Any, train: Any) -> None:
    if not isinstance(part, Split):
        raise ValueError(f"Argument `{name}` of a Dataset must be a Split. Received: {part!r}")
    for what in ("columns", "labels"):
        own, others = set(getattr(part, what)), set(getattr(train, what))
        if own != others:
            raise ValueError(
                f"The parts of a Dataset must have the same {what}. Received: train has "
                f"{sorted(others)}, {name} has {sorted(own)}"
            )


def _check_names(argument: str, names: Any, columns: Mapping[str, np.ndarray]) -> None:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ValueError(
            f"Argument `{argument}` of a Dataset must be a list of names of columns. "
            f"Received: {argument}={names!r}"
        )
    for name in names:
        if name not in columns:
            raise ValueError(
                f"Argument `{argument}` of a Dataset must name columns, {list(columns)}."
                f"{did_you_mean(name, columns)} Received: {name!r}"
            )


def _check_each_once(named: list[str], columns: Mapping[str, np.ndarray]) -> None:
    for name in columns:
        if named.count(name) != 1:
            raise ValueError(
                "Every raw column of a Dataset must be in one of `categorical`, `numeric` and "
                f"`sequences`: name its kind, or leave it out of `columns`. Received: {name!r} in "
                f"{named.count(name) or 'none'} of them"
            )


def _check_packed(columns: Mapping[str, np.ndarray]) -> None:
    shapes = {name: values.shape for name, values in columns.items()}
    if len(shapes) > 1 or len(next(iter(shapes.values()))) < 2:
        raise ValueError(
            "A Dataset of raw columns must say what each one holds, in `categorical`, `numeric` or "
            "`sequences`; without them its columns are one array of packed features, (B, D). "
            f"Received: columns of shapes {shapes}"
        )
