"""How fast raw rows become what `fit` takes: from memory, from files, and by Keras' own layers."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import data
from benchmarks.contenders import LeftOutError, reported
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from keras_mtl.datasets.dataset import Split
from keras_mtl.features import Category, TabularFeatures
from keras_mtl.study.tables import text_table

CHUNK_BYTES, CHUNK_ROWS = 8 << 20, 65_536
KERAS_ROWS = 10_000  # its `adapt`, a column at a time, would take minutes for all

OURS, KERAS = "keras_mtl", "keras.utils.FeatureSpace"


@dataclass
class Passes:
    """Seconds of each pass of one contender over some rows."""

    contender: str
    measure: str
    rows: int
    seconds: list[float] = field(default_factory=list)

    def time(self, step: Callable[[], Any]) -> Any:
        """Takes the time of one pass; gives back what it returned."""
        started = time.perf_counter()
        result = step()
        self.seconds.append(time.perf_counter() - started)
        return result

    @property
    def speed(self) -> float:
        """Rows a second of the fastest pass."""
        return self.rows / min(self.seconds)


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    table = data.new_table(setting.split, setting.work.sizes).adapt(setting.split.columns)
    passes = [
        *from_memory(setting),
        *from_files(setting.split, table, setting.folder, setting.rounds),
    ]
    with reported():
        passes += by_keras(setting.split, table)
    return Result(figures(passes), report(passes))


def from_memory(setting: Setting) -> list[Passes]:
    """`adapt` and `encode` of raw columns."""
    columns, rows = setting.split.columns, len(setting.split)
    adapt, encode = Passes(OURS, "adapt", rows), Passes(OURS, "encode", rows)
    for _ in range(setting.rounds):
        table = data.new_table(setting.split, setting.work.sizes)
        adapt.time(lambda table=table: table.adapt(columns))
        encode.time(lambda table=table: table.encode(columns))
    return [adapt, encode]


def from_files(split: Split, table: TabularFeatures, folder: Path, rounds: int) -> list[Passes]:
    """Chunks of a CSV and of a Parquet file, read and encoded."""
    paths = write_files(split, folder)
    passes = []
    for name, (path, read) in paths.items():
        own = Passes(OURS, f"read and encode {name}", len(split))
        for _ in range(rounds):
            encoded = own.time(
                lambda read=read, path=path: sum(
                    len(table.encode(chunk)["categorical"]) for chunk in read(path)
                )
            )
            assert encoded == len(split), (name, encoded)
        passes.append(own)
    return passes


def write_files(split: Split, folder: Path) -> dict[str, tuple[Path, Callable[[Path], Iterator]]]:
    """The raw rows as files, each with what reads its chunks."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    rows = pa.table({name: pa.array(values) for name, values in split.columns.items()})
    csv, parquet = folder / "rows.csv", folder / "rows.parquet"
    pyarrow.csv.write_csv(rows, csv)
    pyarrow.parquet.write_table(rows, parquet)
    options = pyarrow.csv.ReadOptions(block_size=CHUNK_BYTES)
    types = pyarrow.csv.ConvertOptions(column_types=rows.schema, strings_can_be_null=False)
    return {
        "CSV": (csv, lambda path: pyarrow.csv.open_csv(path, options, convert_options=types)),
        "Parquet": (
            parquet,
            lambda path: pyarrow.parquet.ParquetFile(path).iter_batches(CHUNK_ROWS),
        ),
    }


def by_keras(split: Split, table: TabularFeatures) -> list[Passes]:
    """`adapt` and a pass of Keras' `FeatureSpace` over some of the rows.

    It reads batches of 1,024 from `tf.data`, as its documentation shows, and gives the same: an id
    for a string, a standardised number.
    """
    if keras.backend.backend() != "tensorflow":
        raise LeftOutError(f"{KERAS} needs tensorflow, and the Keras backend is another")
    import tensorflow as tf

    rows = min(KERAS_ROWS, len(split))
    some = split.take(np.arange(rows)).columns
    batches = tf.data.Dataset.from_tensor_slices(plain_arrays(some, table)).batch(1024)
    space = keras.utils.FeatureSpace(
        features={
            column.name: (
                keras.utils.FeatureSpace.string_categorical(output_mode="int")
                if isinstance(column, Category)
                else keras.utils.FeatureSpace.float_normalized()
            )
            for column in table.columns
        },
        output_mode="dict",
    )
    adapt, encode = Passes(KERAS, "adapt", rows), Passes(KERAS, "encode", rows)
    adapt.time(lambda: space.adapt(batches))
    encoded = batches.map(space)
    for _ in range(2):  # the first pass traces
        encode.time(lambda: [None for _ in encoded])
    return [adapt, encode]


def plain_arrays(columns: dict[str, Any], table: TabularFeatures) -> dict[str, np.ndarray]:
    """The same columns without missing values, which Keras' layers do not take."""
    return {
        column.name: (
            np.array([value or "" for value in columns[column.name]], "U")
            if isinstance(column, Category)
            else np.nan_to_num(np.asarray(columns[column.name], "float32"))
        )
        for column in table.columns
    }


def figures(passes: Sequence[Passes]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure("encoding", p.contender, p.measure, round(value, 3), unit, device="cpu")
        for p in passes
        for value, unit in ((min(p.seconds), "s"), (p.speed, "rows/s"))
    ]


def report(passes: Sequence[Passes]) -> str:
    """A table of the best passes."""
    header = ["encoding", "by", "rows", "s", "rows/s"]
    rows = [
        [p.measure, p.contender, f"{p.rows:,}", f"{min(p.seconds):.2f}", f"{p.speed:,.0f}"]
        for p in passes
    ]
    return text_table(header, rows)
