"""Boosted trees, one model a task: what a practitioner would use instead."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_mtl.datasets.dataset import Dataset
from keras_mtl.study.folders import write_json, written_aside
from keras_mtl.study.measures import exact_auc, known_rows
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.runner import SETTINGS, write_metrics
from keras_mtl.study.sources import StudyData
from keras_mtl.task import Task

NAME = "boosted_trees"
# Trees are added until a tenth of the training rows, drawn by the seed, no longer gains.
ARGUMENTS = {"learning_rate": 0.1, "max_iter": 500, "early_stopping": True}
NOT_MEASURED = ("parameters", "parameters_with_embeddings", "epochs", "best_epoch", "monitor")
_MOST_CATEGORIES = 254
_FIGURES = {"binary": ("auc",), "multiclass": ("accuracy",), "regression": ("mse", "mae")}


def tree_settings(settings: RunSettings) -> RunSettings:
    """The run of boosted trees on the data and with the seed of another run."""
    return dataclasses.replace(
        settings,
        study=NAME,
        model=NAME,
        strategy="default",
        model_arguments={"name": NAME, **ARGUMENTS},
        compile={},
        fit={},
        selection={},
    )


def train(settings: RunSettings, data: StudyData, folder: Path) -> None:
    """Fits one model a task on the raw columns and leaves the folder of a run.

    Raises:
        ValueError: as `check`.
    """
    check(data)
    figures: dict[str, dict[str, Any]] = {"valid": {}, "test": {}}
    start = time.perf_counter()
    matrices, is_category = _encoded(data.source)
    for task in data.tasks:
        model = _fitted(task, matrices["train"], data.train[1], is_category, settings)
        for split, labels in (("valid", data.valid[1]), ("test", data.test[1])):
            figures[split][task.name] = _measured(task, model, matrices[split], labels)
    nothing = dict.fromkeys(NOT_MEASURED, "")
    with written_aside(folder) as partial:
        write_json(partial / SETTINGS, settings.to_dict())
        seconds = round(time.perf_counter() - start, 2)
        write_metrics(partial, {**figures, **nothing, "seconds": seconds})


def check(data: StudyData) -> None:
    """Whether trees can learn the data: one value a column and row, one label a task and row.

    Raises:
        ValueError: for columns of lists, a task of several columns or with a label a token, or one
            whose rows another task decides.
    """
    if data.source.sequences:
        raise ValueError(
            "Boosted trees need columns of one value a row. "
            f"Received: sequences={data.source.sequences}"
        )
    for task in data.tasks:
        _check_task(task, np.shape(data.train[1][task.name]))


def _check_task(task: Task, shape: tuple[int, ...]) -> None:
    one_column = task.kind in ("binary", "multiclass") or task.units == 1
    one_label = shape[1:] in ((), (1,))
    if task.kind == "multilabel" or not (one_column and one_label) or task.given is not None:
        raise ValueError(
            "Boosted trees need tasks of one label a row without `given`. Received: "
            f"task={task.name!r}, kind={task.kind!r}, given={task.given!r}, labels={shape}"
        )


def _encoded(source: Dataset) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Matrices by part, categories as ordinal codes, and which columns are categories."""
    parts = {name: getattr(source, name).columns for name in ("train", "valid", "test")}
    if not source.categorical and not source.numeric:
        matrices = {name: next(iter(columns.values())) for name, columns in parts.items()}
        return matrices, np.zeros(matrices["train"].shape[-1], bool)
    coded: dict[str, list[np.ndarray]] = {name: [] for name in parts}
    for column in source.categorical:
        for name, codes in _codes({name: np.asarray(part[column]) for name, part in parts.items()}):
            coded[name].append(codes)
    for name, columns in parts.items():
        coded[name] += [np.asarray(columns[column], "float64") for column in source.numeric]
    is_category = np.arange(len(coded["train"])) < len(source.categorical)
    return {name: np.stack(columns, axis=-1) for name, columns in coded.items()}, is_category


def _codes(column: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Codes of a column in each part; NaN, to trees "missing", for rare and new categories."""
    values, counts = np.unique(column["train"].astype(str), return_counts=True)
    kept = np.sort(values[np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]])
    for name, part in column.items():
        words = part.astype(str)
        places = np.minimum(np.searchsorted(kept, words), len(kept) - 1)
        yield name, np.where(kept[places] == words, places, np.nan)


def _fitted(
    task: Task, matrix: np.ndarray, labels: Any, is_category: np.ndarray, settings: RunSettings
) -> Any:
    from sklearn import ensemble

    regression = task.kind == "regression"
    kind = "HistGradientBoostingRegressor" if regression else "HistGradientBoostingClassifier"
    arguments = {key: value for key, value in settings.model_arguments.items() if key != "name"}
    model = getattr(ensemble, kind)(
        categorical_features=is_category, random_state=settings.seed, **arguments
    )
    truth = np.asarray(labels[task.name]).reshape(-1)
    known = known_rows(task, truth)
    return model.fit(matrix[known], truth[known])


def _measured(task: Task, model: Any, matrix: np.ndarray, labels: Any) -> dict[str, float]:
    truth = np.asarray(labels[task.name]).reshape(-1)
    known = known_rows(task, truth)
    if not known.any():
        return dict.fromkeys(_FIGURES[task.kind], float("nan"))
    truth, matrix = truth[known], matrix[known]
    if task.kind == "binary":
        return {"auc": exact_auc(truth, model.predict_proba(matrix)[:, 1])}
    guess = model.predict(matrix)
    if task.kind == "multiclass":
        return {"accuracy": float(np.mean(guess == truth))}
    return {
        "mse": float(np.mean((guess - truth) ** 2)),
        "mae": float(np.mean(np.abs(guess - truth))),
    }
