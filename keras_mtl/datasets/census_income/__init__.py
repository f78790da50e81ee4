"""Census-Income (KDD): income, marital status and education of 299,285 persons."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keras_mtl.datasets.census_income.files import find_files, read_columns
from keras_mtl.datasets.census_income.schema import CATEGORICAL, LABEL_COLUMNS, NUMERIC
from keras_mtl.datasets.dataset import Dataset, Split

__all__ = ["CensusIncome", "load"]


def load(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Reads the publisher's files, split and labelled as in the MMoE paper.

    Three binary tasks: `income` above 50,000 dollars, `marital`: never married, `education`: an
    associate's degree or higher. 31 categorical columns of strings, where `"?"` is a category of
    its own and codes are categories, and 7 numeric ones. The rows of the train file are for
    training; those of the test file are permuted by `numpy.random.default_rng(0)`, and the first
    half is for validation, the second for the test.

    Args:
        data_dir: Folder that holds `census-income.data` and `census-income.test`, plain or
            compressed as `.gz` or `.bz2`, or that has a folder `census_income` which does. By
            default the environment variable `KERAS_MTL_DATA` names it.

    Output shape:
        A `Dataset` of 199,523, 49,881 and 49,881 rows. `columns` are arrays of strings (dtype
        object) or float32, `labels` int32, each `(B,)`.

    Raises:
        FileNotFoundError: If the files are not there.
        ValueError: If a file or a row cannot be read; with the line.

    Example:

    >>> import tempfile, pathlib
    >>> row = "41,Private,33,2,Children,0,?,Divorced" + ",?" * 8 + ",0,0,0" + ",?" * 11
    >>> row += ",2" + ",?" * 8 + ",52,95,50000+.\\n"
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("census-income.data", "census-income.test"):
    ...     _ = (folder / name).write_text(row * 2)
    >>> data = load(folder)
    >>> data.train.columns["age"], data.train.labels["income"], len(data.valid)
    (array([41., 41.], dtype=float32), array([1, 1], dtype=int32), 1)

    Reference:
        Lane and Kohavi, "Census-Income (KDD)", UCI Machine Learning Repository 2000, id 117.
        Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts", KDD 2018, section 5: train file, halves of the test file, education
        and marital status dropped from the inputs. Departures: the paper's halves are not
        published, these are ours; its "education level at least college" is read as an
        associate's degree or higher, which gives its correlation with marital status (0.239 for
        0.2373); the survey's instance weight is dropped, of which the paper says nothing.
    """
    with ThreadPoolExecutor(2) as pool:  # decompressing one file takes most of the time
        train, held_out = map(_to_split, pool.map(read_columns, find_files(data_dir)))
    order = np.random.default_rng(0).permutation(len(held_out))
    middle = len(order) // 2
    valid, test = held_out.take(order[:middle]), held_out.take(order[middle:])
    return Dataset(train, valid, test, list(CATEGORICAL), list(NUMERIC))


def _to_split(columns: dict[str, np.ndarray]) -> Split:
    """Features and labels among the columns of a file."""
    return Split(
        {name: columns[name] for name in (*CATEGORICAL, *NUMERIC)},
        {task: columns[name] for task, name in LABEL_COLUMNS.items()},
    )


def __getattr__(name: str) -> Any:
    """Imports tensorflow-datasets only where its builder is asked for."""
    if name == "CensusIncome":
        from keras_mtl.datasets.census_income.builder import CensusIncome

        return CensusIncome
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
