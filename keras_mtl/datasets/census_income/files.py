"""The publisher's comma-separated files, plain or compressed, read into columns."""

import bz2
import gzip
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np

from keras_mtl.datasets.census_income.schema import COLUMNS, READERS

DATA_VARIABLE = "KERAS_MTL_DATA"
TRAIN_FILE, TEST_FILE = "census-income.data", "census-income.test"
PUBLISHER = "https://archive.ics.uci.edu/dataset/117"

_OPENERS: dict[str, Callable[..., Any]] = {"": open, ".gz": gzip.open, ".bz2": bz2.open}
_BLOCK = 1 << 23  # bytes that are decompressed and split at a time


def find_files(data_dir: str | os.PathLike[str] | None) -> tuple[Path, Path]:
    """The train and the test file in `data_dir`, or in its folder `census_income`."""
    given = data_dir if data_dir is not None else os.environ.get(DATA_VARIABLE)
    if given is not None:
        for folder in (Path(given), Path(given) / "census_income"):
            train, test = _find(folder, TRAIN_FILE), _find(folder, TEST_FILE)
            if train and test:
                return train, test
    raise FileNotFoundError(
        f"Argument `data_dir`, or else the environment variable {DATA_VARIABLE}, must name a "
        f"folder that holds {TRAIN_FILE} and {TEST_FILE} (plain, .gz or .bz2), itself or in a "
        f"folder census_income. The publisher offers them at {PUBLISHER}. "
        f"Received: data_dir={data_dir!r}, {DATA_VARIABLE}={os.environ.get(DATA_VARIABLE)!r}"
    )


def _find(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in _OPENERS)
    return next((path for path in paths if path.is_file()), None)


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """Every column but the instance weight, as an array (B,).

    Raises:
        ValueError: If a row has not 42 values, a value is no number where one belongs, the income
            is neither of its two classes, or the compressed file ends early; with the line.
    """
    columns: dict[str, list[Any]] = {name: [] for name in READERS}
    cells = {name: _Cells(reader) for name, (reader, _) in READERS.items()}
    line = 1
    for text in _ahead(_blocks(path)):
        rows = [row.split(",") for row in text.rstrip("\r\n").split("\n")]
        _check_widths(path, rows, line)
        for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True):
            if name in READERS:
                columns[name] += _values(path, name, column, cells[name], line)
        line += len(rows)
    return {name: np.array(values, READERS[name][1]) for name, values in columns.items()}


class _Cells(dict[str, Any]):
    """Text of a cell -> its value, worked out once: columns repeat few texts."""

    def __init__(self, reader: Callable[[str], Any]) -> None:
        super().__init__()
        self.reader = reader

    def __missing__(self, text: str) -> Any:
        value = self[text] = self.reader(text)
        return value


def _values(path: Path, name: str, column: tuple[str, ...], cells: _Cells, line: int) -> list[Any]:
    try:
        return [cells[text] for text in column]
    except ValueError:
        row = next(row for row, text in enumerate(column) if text not in cells)
        raise ValueError(
            f"File `{path.name}` must hold a valid `{name}` in every row. "
            f"Received: {column[row].strip()!r} in line {line + row}"
        ) from None


def _check_widths(path: Path, rows: list[list[str]], line: int) -> None:
    if set(map(len, rows)) == {len(COLUMNS)}:
        return
    index, row = next((i, row) for i, row in enumerate(rows) if len(row) != len(COLUMNS))
    raise ValueError(
        f"File `{path.name}` must hold {len(COLUMNS)} values in every row. "
        f"Received: {len(row)} values in line {line + index}"
    )


def _blocks(path: Path) -> Iterator[str]:
    """The text of a file in blocks of whole lines."""
    file: IO[bytes]
    with _OPENERS[path.suffix if path.suffix in _OPENERS else ""](path, "rb") as file:
        try:
            while block := file.read(_BLOCK):
                yield (block + file.readline()).decode("ascii")
        except (EOFError, OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"File `{path}` must be the publisher's text, plain or compressed as its name "
                f"says, and whole. Received: {error}"
            ) from error


def _ahead(blocks: Iterator[str]) -> Iterator[str]:
    """The same blocks, the next one decompressed while the last one is split."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, blocks, None)
        while (block := following.result()) is not None:
            following = pool.submit(next, blocks, None)
            yield block
