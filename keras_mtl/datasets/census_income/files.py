"""The publisher's comma-separated files, plain or compressed, read into columns."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl.datasets import locating
from keras_mtl.datasets.census_income.schema import COLUMNS, READERS

TRAIN_FILE, TEST_FILE = "census-income.data", "census-income.test"
PUBLISHER = "https://archive.ics.uci.edu/dataset/117"


def find_files(data_dir: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    """The train and the test file in `data_dir`, or in its folder `census_income`."""
    names = (TRAIN_FILE, TEST_FILE)
    train, test = locating.find_files(data_dir, "census_income", names, (".gz", ".bz2"), PUBLISHER)
    return train, test


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Every column but the instance weight, as an array (B,).

    Raises:
        ValueError: If a row has not 42 values, a value is no number where one belongs, or the
            income is neither of its two classes, with the line; if the file cannot be read.
    """
    table = _read_table(path)
    return {name: _read_column(path, name, table[name], *READERS[name]) for name in READERS}


def _read_table(path: Path) -> Any:
    """The Arrow table of a file: every column as codes into its distinct texts."""
    import pyarrow

    try:
        return _parse(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        row = _first_wrong_row(path)
        if row is None:
            raise ValueError(
                f"File `{path}` must be the publisher's text, whole, and plain or compressed as "
                f"its name says. Received: {error}"
            ) from error
        raise ValueError(
            f"File `{path.name}` must hold {len(COLUMNS)} values in every row. "
            f"Received: {row.actual_columns} values in line {row.number}"
        ) from error


def _first_wrong_row(path: Path) -> Any:
    """The first row that has not a value for every column, or None."""
    import pyarrow

    rows = []

    def keep(row: Any) -> str:
        rows.append(row)
        return "error"

    with contextlib.suppress(pyarrow.ArrowInvalid, OSError):
        _parse(path, keep)
    return rows[0] if rows else None


def _parse(path: Path, invalid_row_handler: Any = None) -> Any:
    import pyarrow
    from pyarrow import csv

    threads = invalid_row_handler is None  # one thread alone knows the numbers of the rows
    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    return csv.read_csv(
        path,
        csv.ReadOptions(column_names=COLUMNS, block_size=1 << 23, use_threads=threads),
        csv.ParseOptions(quote_char=False, invalid_row_handler=invalid_row_handler),
        csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, text)),
    )


def _read_column(
    path: Path, name: str, chunks: Any, reader: Callable[[str], Any], dtype: Any
) -> np.ndarray:
    """The values of a column; each distinct text is read once."""
    column = chunks.combine_chunks()  # unifies the codes of all blocks
    codes, texts = column.indices.to_numpy(), column.dictionary.to_pylist()
    values = np.empty(len(texts), dtype)
    for code, text in enumerate(texts):
        try:
            values[code] = reader(text)
        except ValueError:
            raise ValueError(
                f"File `{path.name}` must hold a valid `{name}` in every row. "
                f"Received: {text.strip()!r} in line {np.argmax(codes == code) + 1}"
            ) from None
    return values[codes]
