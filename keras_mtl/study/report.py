"""What a study prints: what is trained, how well, and where everything lies."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_mtl.study import runner
from keras_mtl.study.comparison import BASELINE, models_of, pairs, tables
from keras_mtl.study.expert_load import loads_of
from keras_mtl.study.folders import FINISHED
from keras_mtl.study.measures import lower_is_better
from keras_mtl.study.results import Row, distinct, values_by_seed
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.serving_check import TOLERANCE, largest_difference
from keras_mtl.study.sources import StudyData
from keras_mtl.study.tables import number, rounds_to_nothing, signed, text_table

SERVED_ROWS = 256
_HOW_TO_READ = (
    "Mean and standard deviation (sd) over seeds; (high) and (low) say which way is better. "
    "Differences\nare paired by seed. Where 0 lies in their 95 % interval, these seeds show no "
    "difference."
)


def heading(title: str, settings: RunSettings, data: StudyData, folder: Path) -> str:
    """What is about to be trained, on what, and where it will lie."""
    train, valid, test = data.rows
    tasks = ", ".join(f"{task.name} ({task.kind})" for task in data.tasks)
    return (
        f"{title}\n"
        f"  data    {settings.data}: {train:,} rows to train on, {valid:,} to choose by, "
        f"{test:,} to report\n"
        f"  tasks   {tasks}\n"
        f"  folder  {folder}\n"
    )


def side_by_side(rows: Sequence[Row]) -> str:
    """Test figures of every task, models beside each other, one table for each data set."""
    return "\n\n".join(
        f"{data}, test rows, {_seeds(rows)}\n\n{_side_by_side(rows, data)}"
        for data in distinct(rows, "data")
    )


def comparisons(rows: Sequence[Row]) -> str:
    """Means, deviations and paired differences to the other models, for each data set."""
    shown = [
        "\n\n".join([f"{data}, test rows", *(text_table(*table) for table in tables(rows, data))])
        for data in distinct(rows, "data")
    ]
    return "\n\n".join([*shown, *([_HOW_TO_READ] if len(distinct(rows, "seed")) > 1 else [])])


def expert_loads(rows: Sequence[Row]) -> str:
    """How evenly sparse experts were used, a line a layer; empty where no layer tells."""
    header = ["data", "model", "layer", "least used", "most used", "even", "dropped"]
    lines = []
    for load in loads_of(rows):
        by_seed = [*zip(*load.shares.values(), strict=True)]
        # Of each seed's own: an expert's number means nothing from one seed to the next.
        extremes = (float(np.mean([f(shares) for shares in by_seed])) for f in (min, max))
        figures = [*extremes, load.even, load.dropped]
        lines.append([load.data, load.model, load.layer, *map(number, figures)])
    said = "Share of the choices that fell on an expert, validation rows"
    return f"{said}, {_seeds(rows)}\n\n{text_table(header, lines)}" if lines else ""


def served(run: Path, data: StudyData) -> str:
    """Loads the run's export as a server would and compares its predictions with the model's.

    Raises:
        RuntimeError: if they differ.
    """
    raw, packed = data.served_sample(SERVED_ROWS)
    difference = largest_difference(run / runner.MODEL, run / runner.EXPORT / "1", raw, packed)
    if not difference < TOLERANCE:
        raise RuntimeError(
            f"An export must predict what its model predicts, to {TOLERANCE}. "
            f"Received: {difference:.2g} between {run / runner.EXPORT} and {run / runner.MODEL}"
        )
    rows = len(next(iter(raw.values())))
    return (
        "Export loaded as TF Serving does, by a process without Keras: "
        f"{rows} rows x {len(data.tasks)} tasks differ from Keras' predictions by at most "
        f"{difference:.1g}."
    )


def whereabouts(folder: Path, run: Path) -> str:
    """Which file is what."""
    lines = [
        (run / runner.MODEL, "the trained model: keras.saving.load_model"),
        (run / runner.EXPORT, "SavedModel, version 1: the base path of TF Serving"),
        (run / runner.LOG, "losses and metrics of every epoch"),
        (run / runner.METRICS, "validation and test figures, versions"),
        (run / runner.SETTINGS, "resolved settings of the run"),
        (folder / FINISHED, "figures of all runs, one a line"),
    ]
    names = [str(path.relative_to(folder)) for path, _ in lines]
    width = max(map(len, names))
    told = zip(names, (what for _, what in lines), strict=True)
    return f"Everything lies in {folder}:\n" + "\n".join(
        f"  {name:<{width}}  {what}" for name, what in told
    )


def _side_by_side(rows: Sequence[Row], data: str) -> str:
    rows = [row for row in rows if row["data"] == data and row["split"] == "test"]
    models = models_of(rows)
    named = pairs(rows)
    others = {other for _, other in named} | {BASELINE}
    compared = [
        *((model, BASELINE) for model in models if model not in others and BASELINE in models),
        *named,
    ]
    lines = []
    for task in distinct(rows, "task"):
        of_task = [row for row in rows if row["task"] == task]
        for metric in _shown(distinct(of_task, "metric")):
            means = {
                model: float(
                    np.mean([*values_by_seed(of_task, metric=metric, model=model).values()])
                )
                for model in models
            }
            gains = [means[model] - means[other] for model, other in compared]
            cells = [*map(number, means.values()), *(_judged(gain, metric) for gain in gains)]
            lines.append([task, metric, *cells])
    differences = [f"{model} - {other}" for model, other in compared]
    return text_table(["task", "metric", *models, *differences], lines)


def _shown(metrics: Sequence[str]) -> list[str]:
    """The loss only where there is no metric: most often it is one of them."""
    return [metric for metric in metrics if metric != "loss"] or list(metrics)


def _judged(gain: float, metric: str) -> str:
    """A difference and its direction, where it has one at the digits that are shown."""
    if math.isnan(gain):
        return signed(gain)
    if rounds_to_nothing(gain):
        return f"{signed(gain)} equal"
    better = gain < 0 if lower_is_better(metric) else gain > 0
    return f"{signed(gain)} {'better' if better else 'worse'}"


def _seeds(rows: Sequence[Row]) -> str:
    count = len(distinct(rows, "seed"))
    return "one seed" if count == 1 else f"mean of {count} seeds"
