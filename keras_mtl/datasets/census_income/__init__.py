"""Census-Income (KDD): will a person earn, marry, have been to college?"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mtl.datasets.census_income.files import find_files, read_columns
from keras_mtl.datasets.census_income.schema import CATEGORICAL, LABEL_COLUMNS, NUMERIC
from keras_mtl.datasets.dataset import Dataset, Split

if TYPE_CHECKING:
    from keras_mtl.datasets.census_income.builder import CensusIncome

__all__ = ["CensusIncome", "load"]


def load(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """doc"""
    with ThreadPoolExecutor(2) as pool:  # most of the time goes into decompressing one file
        train, held_out = map(to_split, pool.map(read_columns, find_files(data_dir)))
    valid_rows, test_rows = halves(len(held_out))
    valid, test = held_out.take(valid_rows), held_out.take(test_rows)
    return Dataset(train, valid, test, list(CATEGORICAL), list(NUMERIC))


def to_split(columns: dict[str, np.ndarray]) -> Split:
    """Features and labels of the columns of a file."""
    return Split(
        {name: columns[name] for name in (*CATEGORICAL, *NUMERIC)},
        {task: columns[name] for task, name in LABEL_COLUMNS.items()},
    )


def halves(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the test file that are for validation and for the test, drawn once and for all."""
    order = np.random.default_rng(0).permutation(rows)
    return order[: rows // 2], order[rows // 2 :]
