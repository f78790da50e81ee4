"""The data of a run: loaded, its columns encoded, its tasks made."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl import features
from keras_mtl.checks import did_you_mean
from keras_mtl.datasets.dataset import Dataset, Split
from keras_mtl.serving.arrays import as_array
from keras_mtl.study.importing import beside
from keras_mtl.study.keras_objects import make
from keras_mtl.study.refusals import refusals_of
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.schema import load_function
from keras_mtl.study.signatures import arguments_of
from keras_mtl.task import Task
from keras_mtl.training.data import plain_labels

Labels = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class StudyData:
    """What a run needs to know of its data.

    Attributes:
        source: the data set as it was loaded, with raw columns.
        tasks: what is predicted.
        table: encoder of the columns; None where the data are one matrix of features.
        train, valid, test: model inputs and labels.
    """

    source: Dataset
    tasks: list[Task]
    table: features.TabularFeatures | None
    train: tuple[Any, Labels]
    valid: tuple[Any, Labels]
    test: tuple[Any, Labels]

    @property
    def inputs(self) -> Any:
        """The `inputs` argument of a constructor."""
        return self.width if self.table is None else self.table

    @property
    def width(self) -> int:
        """Width of the vector that the experts read: of a row, or of an entry of sequences."""
        if self.table is None:
            return int(self.train[0].shape[-1])
        vectors = self.table.embed(concatenate=False)
        return sum(int(vector.shape[-1]) for vector in vectors.values())

    @property
    def rows(self) -> tuple[int, int, int]:
        """Rows to train on, to choose by, to report."""
        return _rows(self.train[1]), _rows(self.valid[1]), _rows(self.test[1])

    def served_sample(self, rows: int) -> tuple[dict[str, np.ndarray], Any]:
        """The first test rows as a server receives them, lists padded, and as the model does."""
        packed = _head(self.test[0], rows)
        if self.table is None:
            return {"features": packed}, packed
        columns, signature = self.source.test.columns, self.table.serving_signature()
        raw = {name: as_array(name, columns[name][:rows], spec) for name, spec in signature.items()}
        return raw, packed


def load_data(settings: RunSettings, data_dir: Path | None = None) -> StudyData:
    """Loads and encodes the data of a run; the data of the last run are kept for the next.

    A load function that takes a `seed` and is given none gets the run's own: every seed draws new
    data, and models are compared on equal draws.

    Raises:
        ValueError: if the function fails, or returns no `Dataset`, or one without labels of a task.
    """
    arguments = dict(settings.data_arguments)
    with refusals_of(settings.file, f"The data of {settings.source!r}"), beside(settings.folders):
        accepted = arguments_of(load_function(settings.source))
        if "seed" in accepted:
            arguments.setdefault("seed", settings.seed)
        if "data_dir" in accepted and data_dir is not None:
            arguments["data_dir"] = str(data_dir)
        return _load(
            settings.source,
            settings.folders,
            json.dumps(arguments, sort_keys=True),
            json.dumps(settings.features, sort_keys=True),
            json.dumps(settings.tasks, sort_keys=True),
        )


@functools.lru_cache(maxsize=1)
def _load(
    source: str, folders: tuple[str, ...], arguments: str, table: str, tasks: str
) -> StudyData:
    """`load_data` with what decides its result: equal sources in other folders are others."""
    data = load_function(source)(**json.loads(arguments))
    made = [Task(**make(task, {})) for task in json.loads(tasks)]
    _check_loaded(source, data, made)
    encoder = _adapted(data, json.loads(table))
    parts = (data.train, data.valid, data.test)
    train, valid, test = (
        (_encoded(part, encoder), plain_labels(made, part.labels)) for part in parts
    )
    return StudyData(data, made, encoder, train, valid, test)


def _check_loaded(source: str, data: Any, tasks: list[Task]) -> None:
    if not isinstance(data, Dataset):
        raise ValueError(
            "A load function must return a `keras_mtl.datasets.Dataset`. "
            f"Received: {type(data).__name__} from {source!r}"
        )
    labels = data.train.labels
    for task in tasks:
        if task.name not in labels:
            raise ValueError(
                f"Every one of `tasks` must be a label of the data, {', '.join(labels)}."
                f"{did_you_mean(task.name, labels)} Received: {task.name!r}"
            )


def _adapted(data: Dataset, settings: dict[str, Any]) -> features.TabularFeatures | None:
    """The table of a data set's columns, adapted to its training rows."""
    if not data.categorical and not data.numeric and not data.sequences:
        return None
    kinds = ("category", "number", "sequence")
    category, number, sequence = (settings.pop(kind, {}) for kind in kinds)
    table = features.TabularFeatures(
        [features.Sequence(name, **sequence) for name in data.sequences],
        categorical=[features.Category(name, **category) for name in data.categorical],
        numeric=[features.Numeric(name, **number) for name in data.numeric],
        **settings,
    )
    return table.adapt(data.train.columns)


def _encoded(part: Split, table: features.TabularFeatures | None) -> Any:
    if table is not None:
        return table.encode(part.columns)
    (matrix,) = part.columns.values()
    return matrix


def _rows(labels: Labels) -> int:
    return len(next(iter(labels.values())))


def _head(packed: Any, rows: int) -> Any:
    if isinstance(packed, Mapping):
        return {name: tensor[:rows] for name, tensor in packed.items()}
    return packed[:rows]
