"""Data sets, and the functions that find constructors."""

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl import MultiTaskModel, Task, datasets, features, zoo
from keras_mtl.datasets.dataset import Dataset
from tests.conformance.case import Anew, Arrays, Case
from tests.conformance.cases.layers import TASKS
from tests.conformance.cases.tables import NOT_ALL_ROWS, WITHOUT_MODEL
from tests.conformance.draws import labels, numbers
from tests.datasets import treebank_files
from tests.datasets.census_files import write_files

NAMES_ONLY = dict.fromkeys(WITHOUT_MODEL, "it finds names and makes nothing")
NO_CLASS = {
    "config": "a data set is a function, which has no configuration",
    "slices": "a data set has no weights",
}


def cases() -> Iterator[Case]:
    """Every data set as it is trained on, and the registry."""
    yield synthetic("")
    yield synthetic(
        "options", correlation=0.9, num_valid=4, num_test=4, num_sines=2, scale=2.0, noise=0.0
    )
    yield Case(
        public="datasets.census_income.load",
        arguments={"data_dir": Anew(census_folder)},
        weights=7,
        model=on_census,
        inputs=lambda rows, seed: census_table().encode(census_columns(rows)),
        raw=lambda rows, seed: census_columns(rows),
        labels=lambda rows, seed: first(census().train.labels, rows),
        exempt=NO_CLASS | NOT_ALL_ROWS,
    )
    yield Case(
        public="datasets.treebank.load",
        arguments={"data_dir": Anew(treebank_folder), "language": "en_ewt", "max_words": 5},
        weights=11,
        model=on_treebank,
        inputs=lambda rows, seed: treebank_table().encode(words(rows))["words"],
        raw=lambda rows, seed: words(rows),
        labels=lambda rows, seed: first(treebank().train.labels, rows),
        exempt=NO_CLASS | NOT_ALL_ROWS,
    )
    rows = datasets.Split({"age": [31.0, 45.0]}, {"bought": [1, 0]})
    yield record("Split", columns=rows.columns, labels=rows.labels)
    yield record(
        "Dataset",
        train=rows,
        valid=rows,
        test=rows,
        categorical=[],
        numeric=["age"],
        sequences=[],
        classes={},
    )
    yield Case(
        public="zoo.create",
        arguments={"name": "mmoe", "inputs": 5, "tasks": TASKS},
        weights=12,
        model=lambda seed: zoo.create("mmoe", 5, TASKS, expert_units=4, tower_units=4, seed=seed),
        inputs=numbers(5),
        labels=labels(TASKS),
        exempt={"slices": "see `zoo.mmoe`"},
    )
    yield Case(
        public="datasets.labels_from_long",
        arguments={"rows": [0, 2], "tasks": ["a", "b"], "values": [1, 0], "num_rows": 3},
        exempt=dict.fromkeys(WITHOUT_MODEL, "it arranges labels and makes nothing"),
    )
    yield Case(public="zoo.get_constructor", arguments={"name": "ple"}, exempt=NAMES_ONLY)
    yield Case(public="zoo.list_models", arguments={"pattern": "*moe"}, exempt=NAMES_ONLY)
    yield served("check_export", path="export/1")
    yield served("ExportReport", folder=Path("export/1"), signatures={}, checks=())


def synthetic(option: str, **options: Any) -> Case:
    """The case of synthetic tasks."""
    arguments = {"num_tasks": 3, "num_train": 40, "num_features": 6, **options}
    tasks = [Task(f"task_{index}", "regression") for index in range(3)]

    def drawn(seed: int) -> Dataset:
        return datasets.synthetic_tasks.load(**arguments, seed=seed)

    return Case(
        public="datasets.synthetic_tasks.load",
        option=option,
        arguments={**arguments, "seed": 3},
        weights=6,
        model=lambda seed: zoo.shared_bottom(6, tasks, tower_units=4, seed=seed),
        inputs=lambda rows, seed: drawn(seed).train.columns["features"][:rows],
        labels=lambda rows, seed: first(drawn(seed).train.labels, rows),
        exempt=NO_CLASS,
    )


def first(arrays: Arrays, rows: int) -> Arrays:
    return {name: values[:rows] for name, values in arrays.items()}


@cache
def census_folder() -> Path:
    """Files of the publisher's form, of made-up persons."""
    return write_files(Path(tempfile.mkdtemp()), train=40)


@cache
def census() -> Dataset:
    return datasets.census_income.load(census_folder())


def census_columns(rows: int) -> Arrays:
    return first(census().train.columns, rows)


def census_table() -> features.TabularFeatures:
    data = census()
    table = features.TabularFeatures(
        categorical=data.categorical, numeric=data.numeric, embedding_dim=2
    )
    return table.adapt(data.train.columns)


def on_census(seed: int) -> MultiTaskModel:
    tasks = ["income", "marital"]
    return zoo.shared_bottom(census_table(), tasks, bottom_units=4, tower_units=4, seed=seed)


@cache
def treebank_folder() -> Path:
    """Files of a treebank's form, of made-up sentences."""
    return treebank_files.write_files(Path(tempfile.mkdtemp()))


@cache
def treebank() -> Dataset:
    return datasets.treebank.load(treebank_folder(), max_words=5)


def words(rows: int) -> Arrays:
    """Sentences as a server is sent them: padded."""
    sentences = treebank().train.columns["words"][:rows]
    return {"words": np.array([[*each, *[""] * (5 - len(each))] for each in sentences], object)}


def treebank_table() -> features.TabularFeatures:
    column = features.Sequence(
        "words",
        max_length=5,
        keep="first",
        pooling=None,
        ngrams=(2, 4),
        max_ngrams=6,
        ngram_buckets=64,
    )
    return features.TabularFeatures([column], embedding_dim=3).adapt(treebank().train.columns)


def on_treebank(seed: int) -> MultiTaskModel:
    """A label for every word."""
    tasks = [Task(n, "multiclass", units=len(c)) for n, c in treebank().classes.items()]
    vectors = treebank_table().embed(concatenate=False, seed=seed)["words"]
    return zoo.shared_bottom(vectors, tasks, bottom_units=4, tower_units=(), seed=seed)


def record(name: str, **arguments: Any) -> Case:
    """The case of what a load function returns."""
    return Case(
        public=f"datasets.{name}",
        arguments=arguments,
        exempt=dict.fromkeys(WITHOUT_MODEL, "it holds rows, and makes no model"),
    )


def served(name: str, **arguments: Any) -> Case:
    """The case of what checks an export."""
    return Case(
        public=f"serving.{name}",
        arguments=arguments,
        exempt=dict.fromkeys(WITHOUT_MODEL, "it looks at files, and makes no model"),
    )
