"""One run: build, train, keep the best epoch, measure, save."""

import datetime
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.model import MultiTaskModel
from keras_mtl.study import strategies
from keras_mtl.study.budget import count_parameters, trainable_count
from keras_mtl.study.expert_load import kept_load
from keras_mtl.study.folders import write_json, written_aside
from keras_mtl.study.keras_objects import make
from keras_mtl.study.measures import by_task, exact_auc, known_rows
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.selection import BestEpoch, MeanMetric
from keras_mtl.study.sources import StudyData
from keras_mtl.study.versions import software_versions
from keras_mtl.task import Task
from keras_mtl.zoo.registry import create

MODEL, METRICS, SETTINGS, LOG, EXPORT = (
    "model.keras",
    "metrics.json",
    "settings.json",
    "log.csv",
    "export",
)


def train(
    settings: RunSettings, data: StudyData, folder: Path, *, export: bool, verbose: int
) -> None:
    """Trains one model and leaves its folder: settings, log, metrics, model, perhaps an export.

    Args:
        settings: what to train.
        data: what `load_data` gave for these settings.
        folder: where the run will stand; it appears when the run is complete.
        export: whether to write a SavedModel as well.
        verbose: as in `fit`.
    """
    with written_aside(folder) as partial:
        write_json(partial / SETTINGS, settings.to_dict())
        model, record = fit_and_measure(settings, data, partial / LOG, verbose)
        model.save(partial / MODEL)
        if export:
            _export(model, partial)
        write_metrics(partial, record)


def export_once(folder: Path) -> None:
    """Writes the SavedModel of a run that was trained without one."""
    if not (folder / EXPORT).exists():
        _export(keras.saving.load_model(folder / MODEL), folder)


def fit_and_measure(
    settings: RunSettings, data: StudyData, log: Path | None = None, verbose: int = 0
) -> tuple[MultiTaskModel, dict[str, Any]]:
    """What all workers of a cluster do together: train the model of a run and measure it.

    Args:
        settings: what to train.
        data: what `load_data` gave for these settings.
        log: file of the epochs' figures; None writes nothing.
        verbose: as in `fit`.

    Returns:
        The model with the weights of its best epoch, and the record of the run.
    """
    keras.utils.set_random_seed(settings.seed)
    model = compiled_model(settings, data)
    record = _fit(model, settings, data, log, verbose)
    return model, {
        **record,
        "parameters": count_parameters(settings.model_arguments, data.tasks, data.width),
        "parameters_with_embeddings": trainable_count(model),
        "valid": measure(model, data.tasks, *data.valid, settings.fit),
        "test": measure(model, data.tasks, *data.test, settings.fit),
    }


def write_metrics(folder: Path, record: Mapping[str, Any]) -> None:
    """Writes what a run measured, with the software and the day it ran."""
    day = datetime.date.today().isoformat()
    write_json(folder / METRICS, {**record, "versions": software_versions(), "date": day})


def compiled_model(settings: RunSettings, data: StudyData) -> MultiTaskModel:
    """The model of a run, built and compiled where its strategy wants it."""
    with strategies.scope(settings.strategy):
        model = create_model(settings, data.inputs, data.tasks)
        compile_model(model, settings, training_steps(settings, data))
    return model


def create_model(settings: RunSettings, inputs: Any, tasks: list[Task]) -> MultiTaskModel:
    """The model of a run on these inputs; a seed that the file gives wins over the run's."""
    arguments = {"seed": settings.seed, **settings.model_arguments}
    name = arguments.pop("name")
    return create(name, inputs, tasks, **make(arguments, {}))


def compile_model(model: MultiTaskModel, settings: RunSettings, steps: int) -> None:
    """Compiles as the run's settings say; schedules without a length get `steps`."""
    model.compile(**make(settings.compile, {"decay_steps": steps}))


def make_callbacks(settings: RunSettings) -> list[keras.callbacks.Callback]:
    """The callbacks that the file names."""
    callbacks = make(settings.fit.get("callbacks", []), {})
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                "Key `callbacks` in [fit] must be a list of callbacks. "
                f"Received: {type(callback).__name__}"
            )
    return callbacks


def training_steps(settings: RunSettings, data: StudyData) -> int:
    """Optimizer steps of the whole run: the length of a schedule that says none."""
    batches = math.ceil(data.rows[0] / settings.fit.get("batch_size", 32))
    return batches * settings.fit.get("epochs", 1)


def measure(
    model: MultiTaskModel, tasks: list[Task], inputs: Any, labels: Any, fit: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Losses and metrics by task.

    The AUC of a binary task is recomputed from the predictions: differences between systems are
    thousandths, and a streamed AUC is right to a thousandth. Where `given` or weights decide which
    rows count, it is left as the model's own metric has it.
    """
    batch_size = fit.get("batch_size", 32)
    logs = model.evaluate(inputs, labels, batch_size=batch_size, verbose=0, return_dict=True)
    figures = by_task(logs, [task.name for task in tasks])
    ranked = [task for task in tasks if _is_plain(task) and "auc" in figures[task.name]]
    # Predictions of tokens can be large, and only ranking needs them.
    predictions = model.predict(inputs, batch_size=batch_size, verbose=0) if ranked else {}
    for task in ranked:
        truth = np.asarray(labels[task.name]).reshape(-1)
        known = known_rows(task, truth)
        scores = predictions[task.name].reshape(-1)
        figures[task.name]["auc"] = exact_auc(truth[known], scores[known])
    return figures


def _export(model: MultiTaskModel, folder: Path) -> None:
    model.export(folder / EXPORT / "1", verbose=False)


def _is_plain(task: Task) -> bool:
    return task.kind == "binary" and task.given is None and task.weight_column is None


def _fit(
    model: MultiTaskModel, settings: RunSettings, data: StudyData, log: Path | None, verbose: int
) -> dict[str, Any]:
    """Trains and returns what `fit` told; the model keeps the weights of its best epoch."""
    best = BestEpoch(**settings.selection)
    of_file = {key: value for key, value in settings.fit.items() if key != "callbacks"}
    arguments = make(of_file, {})
    loggers = [] if log is None else [keras.callbacks.CSVLogger(str(log))]
    arguments["callbacks"] = [
        MeanMetric(data.tasks),
        best,
        *loggers,
        *make_callbacks(settings),
    ]
    arguments.setdefault("verbose", verbose)
    start = time.perf_counter()
    try:
        history = model.fit(*data.train, validation_data=data.valid, **arguments)
    finally:
        # Keras leaves it open where training fails.
        for logger in loggers:
            if logger.csv_file is not None:
                logger.csv_file.close()
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "epochs": len(history.epoch),
        "best_epoch": best.best_epoch + 1,
        "monitor": settings.selection["monitor"],
        # No epoch is the best where the figure exists in none.
        "best_value": math.nan if best.best is None else float(best.best),
        "experts": kept_load(history.history, best.best_epoch),
    }
