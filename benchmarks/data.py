"""Rows to train on: Census-Income, or a stand-in of its shape."""

import os
from typing import Any

import keras
import numpy as np

from benchmarks.workload import Sizes, Workload
from keras_mtl.datasets import census_income
from keras_mtl.datasets.dataset import Split
from keras_mtl.features import Category, Numeric, TabularFeatures

TASKS = ("income", "marital")
RESERVED_IDS = 2  # missing and unknown values
STAND_IN = {"categories": 31, "numbers": 7, "values": 16}


def load(name: str, data_dir: str | os.PathLike[str] | None, rows: int, seed: int) -> Split:
    """At most `rows` training rows of a data set; 0 for all of it."""
    split = _stand_in(rows or 200_000, seed) if name == "synthetic" else _census(data_dir)
    return split.take(np.arange(min(rows, len(split)))) if rows else split


def new_table(split: Split, sizes: Sizes) -> TabularFeatures:
    """A table that knows nothing yet: strings are categories, the rest numbers."""
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for name, values in split.columns.items():
        kinds[values.dtype.kind in "OU"].append(name)
    return TabularFeatures(
        categorical=kinds[True],
        # as the peers take numbers
        numeric=[Numeric(name, encoding="standard") for name in kinds[False]],
        embedding_dim=sizes.embedding_dim,
        seed=sizes.seed,
    )


def encode(split: Split, sizes: Sizes) -> Workload:
    """What every contender reads."""
    table = new_table(split, sizes).adapt(split.columns)
    packed = table.encode(split.columns)
    categories = [column.name for column in table.columns if isinstance(column, Category)]
    return Workload(
        sizes,
        {name: RESERVED_IDS + len(table.vocabulary(name)) for name in categories},
        keras.saving.serialize_keras_object(table),
        packed["categorical"],
        packed["numeric"],
        {task: split.labels[task].astype("float32") for task in TASKS},
    )


def _census(data_dir: str | os.PathLike[str] | None) -> Split:
    return census_income.load(data_dir).train


def _stand_in(rows: int, seed: int) -> Split:
    """Columns as many as Census-Income has, and two labels that depend on some of them."""
    rng = np.random.default_rng(seed)
    values = np.array([f"value {index}" for index in range(STAND_IN["values"])], object)
    ids = rng.integers(len(values), size=(rows, STAND_IN["categories"]))
    numbers = rng.normal(size=(rows, STAND_IN["numbers"])).astype("float32")
    columns: dict[str, Any] = {f"category_{f}": values[ids[:, f]] for f in range(ids.shape[1])}
    columns |= {f"number_{n}": numbers[:, n] for n in range(numbers.shape[1])}
    scores = numbers[:, :2] + (ids[:, :2] > len(values) // 2)
    return Split(columns, {t: (scores[:, k] > 1).astype("int32") for k, t in enumerate(TASKS)})
