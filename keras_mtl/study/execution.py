"""The runs of a study, one after another; finished ones are not repeated."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from keras_mtl.study import runner, strategies, trees
from keras_mtl.study.budget import count_parameters, match_budget
from keras_mtl.study.folders import FINISHED
from keras_mtl.study.importing import beside
from keras_mtl.study.refusals import StudyError, refusals_of
from keras_mtl.study.results import Row, run_rows, write_results
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.sources import load_data


def equal_budgets(
    runs: Sequence[RunSettings], reference: Sequence[RunSettings], data_dir: Path | None
) -> list[RunSettings]:
    """The runs, scaled to the parameters of the reference's first run on the same data."""
    budgets: dict[str, RunSettings] = {}
    for settings in reference:
        budgets.setdefault(settings.data, settings)

    @functools.cache
    def matched(data: str, arguments: str) -> dict[str, object]:
        settings = budgets[data]
        known = load_data(settings, data_dir)
        size = known.tasks, known.width
        with beside(settings.folders), _models_of(settings):
            budget = count_parameters(settings.model_arguments, *size)
        return match_budget(json.loads(arguments), *size, budget)

    return [_matched(settings, matched) for settings in runs]


def _matched(settings: RunSettings, match: Callable[[str, str], dict[str, object]]) -> RunSettings:
    arguments = json.dumps(settings.model_arguments, sort_keys=True)
    with beside(settings.folders), _models_of(settings):
        return dataclasses.replace(settings, model_arguments=match(settings.data, arguments))


def check_models(runs: Sequence[RunSettings], data_dir: Path | None) -> None:
    """Makes and compiles each model of the first data once, before anything is written.

    Raises:
        ValueError: where one cannot be made, with the error of what refused it.
    """
    data = load_data(runs[0], data_dir)
    checked: dict[str, RunSettings] = {}
    for settings in runs:
        if settings.data == runs[0].data and settings.model != trees.NAME:
            made = (settings.model_arguments, settings.compile, settings.fit)
            arguments = [settings.folders, *made]
            checked.setdefault(json.dumps(arguments, sort_keys=True), settings)
    for settings in checked.values():
        with beside(settings.folders):
            with _models_of(settings):
                model = runner.create_model(settings, data.width, data.tasks)
            with refusals_of(settings.file, "[compile]"):
                runner.compile_model(model, settings, steps=1)
            with refusals_of(settings.file, "[fit]"):
                runner.make_callbacks(settings)


def _models_of(settings: RunSettings) -> AbstractContextManager[None]:
    """Inside, a model that cannot be made is one of the study file."""
    return refusals_of(settings.file, f"The model {settings.model!r}")


def check_distinct(runs: Sequence[RunSettings]) -> None:
    """Raises `ValueError` where tables or folders could not tell two runs apart."""
    places: dict[str, RunSettings] = {}
    for settings in runs:
        other = places.setdefault(settings.folder_name, settings)
        if other is not settings:
            same = (other.model, other.data) == (settings.model, settings.data)
            twice = f"twice: {settings.model}" if same else f"{_words(other)}; {_words(settings)}"
            raise StudyError(
                f"{settings.file}: Models and data that are trained together must have distinct "
                "names, without regard to punctuation. "
                f"Received {twice}, of {other.study} and of {settings.study}"
            )


def execute(
    runs: Sequence[RunSettings],
    folder: Path,
    *,
    data_dir: Path | None,
    exported: RunSettings | None = None,
    verbose: int,
) -> list[Row]:
    """Trains what is not yet there and writes `results.csv` when all of it is.

    Args:
        runs: what to train, in this order.
        folder: folder of the study; every run has its own in it.
        data_dir: folder of the data's files, where they are not in their usual place.
        exported: the run that also writes a SavedModel.
        verbose: as in `fit`.

    Returns:
        The rows of all runs.
    """
    for number, settings in enumerate(runs, 1):
        place = folder / settings.folder_name
        print(f"[{number}/{len(runs)}] {_words(settings)}", flush=True)
        if not strategies.chief_says(settings.strategy, not place.exists()):
            print(f"      finished before, on {_record(place)['date']}, and kept")
            if settings is exported:
                runner.export_once(place)
            continue
        with beside(settings.folders):
            data = load_data(settings, data_dir)
            if settings.model == trees.NAME:
                trees.train(settings, data, place)
            else:
                runner.train(settings, data, place, export=settings is exported, verbose=verbose)
        print(_outcome(place), flush=True)
    rows = [row for run in runs for row in run_rows(folder / run.folder_name)]
    write_results(folder / FINISHED, rows)
    return rows


def take_part(runs: Sequence[RunSettings], data_dir: Path | None) -> None:
    """What a worker that is not the chief does: its share of the runs that the chief has not got.

    It writes nothing.
    """
    for settings in runs:
        if settings.model != trees.NAME and strategies.chief_says(settings.strategy):
            with beside(settings.folders):
                runner.fit_and_measure(settings, load_data(settings, data_dir))


def _words(settings: RunSettings) -> str:
    return f"{settings.model} on {settings.data}, seed {settings.seed}"


def _record(place: Path) -> dict[str, Any]:
    return json.loads((place / runner.METRICS).read_text())


def _outcome(place: Path) -> str:
    record = _record(place)
    if not record["monitor"]:
        return f"      {record['seconds']:.0f} s"
    return (
        f"      kept epoch {record['best_epoch']} of {record['epochs']}, the best by "
        f"{record['monitor']}; {record['parameters']:,} parameters, {record['seconds']:.0f} s"
    )
