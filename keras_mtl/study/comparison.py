"""What several seeds say of each model: means, deviations, paired differences to the others."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

from keras_mtl.study.measures import lower_is_better, primary_metric
from keras_mtl.study.results import Row, distinct, values_by_seed
from keras_mtl.study.statistics import Summary, paired_difference, summarize
from keras_mtl.study.tables import number, signed
from keras_mtl.task import Task

BASELINE = "single_task"
HEADER = (
    "task",
    "metric",
    "model",
    "parameters",
    "seeds",
    "mean",
    "sd",
    f"minus {BASELINE}",
    "95 % interval",
)
DIFFERENCES = ("task", "metric", "difference", "seeds", "mean", "95 % interval")
Cells = list[list[str]]


@dataclass(frozen=True)
class Line:
    """One task and model on one data set.

    Attributes:
        figures: test figures over seeds.
        gain: paired difference to the baseline; None for the baseline, and where there is none.
    """

    task: str
    metric: str
    model: str
    parameters: str
    figures: Summary
    gain: Summary | None

    def cells(self) -> list[str]:
        """The line of a table under `HEADER`."""
        count = f"{int(self.parameters):,}" if self.parameters else "-"
        cells = [self.task, f"{self.metric} {_better(self.metric)}", self.model, count]
        cells += [
            str(self.figures.count),
            number(self.figures.mean),
            number(self.figures.deviation),
        ]
        return [*cells, *(["", ""] if self.gain is None else _gain_cells(self.gain))]


def tables(rows: Sequence[Row], data: str) -> list[tuple[Sequence[str], Cells]]:
    """Headers and cells on one data set: every model, and what is gained over those named."""
    lines, gains = compared(rows, data), differences(rows, data)
    # Without the baseline there is nothing to say in the columns of the difference to it.
    shown = None if any(line.model == BASELINE for line in lines) else -2
    cells = [line.cells()[:shown] for line in lines]
    return [(HEADER[:shown], cells), *([(DIFFERENCES, gains)] if gains else [])]


def compared(rows: Sequence[Row], data: str) -> list[Line]:
    """Every task and model on one data set, judged by the task's main metric on the test rows."""
    on_data = [row for row in rows if row["data"] == data and row["split"] == "test"]
    return [
        _line(on_data, task, metric, model)
        for task, metric in _main_metrics(on_data).items()
        for model in models_of(on_data)
    ]


def differences(rows: Sequence[Row], data: str) -> Cells:
    """Lines under `DIFFERENCES`: each task and pair on one data set, on the test rows."""
    on_data = [row for row in rows if row["data"] == data and row["split"] == "test"]
    lines = []
    for (task, metric), (model, other) in itertools.product(
        _main_metrics(on_data).items(), pairs(on_data)
    ):
        figures, others = (
            values_by_seed(on_data, task=task, metric=metric, model=name) for name in (model, other)
        )
        if figures.keys() & others.keys():
            gain = paired_difference(figures, others)
            names = [task, f"{metric} {_better(metric)}", f"{model} - {other}"]
            lines.append([*names, str(gain.count), *_gain_cells(gain)])
    return lines


def pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Each study's own model and every other that its file names to compare with.

    The baseline is not among them: every model of a comparison is compared with it.
    """
    named = dict.fromkeys((row["study"], row["model"]) for row in rows)
    first_words = {model: model.split(" ")[0] for _, model in named}
    return [
        (model, other)
        for study, model in named
        if first_words[model] == study
        for of_study, other in named
        if of_study == study and first_words[other] not in (study, BASELINE)
    ]


def models_of(rows: Sequence[Row]) -> list[str]:
    """Models in the order of their runs, the baseline first."""
    return sorted(distinct(rows, "model"), key=lambda model: model != BASELINE)


def _line(rows: Sequence[Row], task: str, metric: str, model: str) -> Line:
    figures = values_by_seed(rows, task=task, metric=metric, model=model)
    baseline = values_by_seed(rows, task=task, metric=metric, model=BASELINE)
    paired = model != BASELINE and figures.keys() & baseline.keys()
    parameters = next(row["parameters"] for row in rows if row["model"] == model)
    gain = paired_difference(figures, baseline) if paired else None
    return Line(task, metric, model, parameters, summarize([*figures.values()]), gain)


def _gain_cells(gain: Summary) -> list[str]:
    low, high = gain.interval
    interval = f"[{signed(low)}, {signed(high)}]" if gain.count > 1 else ""
    return [signed(gain.mean), interval]


def _main_metrics(rows: Sequence[Row]) -> dict[str, str]:
    """The figure by which each task is judged."""
    tasks = [Task(**table) for table in json.loads(rows[0]["settings"])["tasks"]]
    found = {
        task.name: distinct([row for row in rows if row["task"] == task.name], "metric")
        for task in tasks
    }
    return {task.name: primary_metric(task, found[task.name]) for task in tasks}


def _better(metric: str) -> str:
    return "(low)" if lower_is_better(metric) else "(high)"
