"""Time to the first step: building, compiling and one batch, with and without the imports."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.contenders import Entry, Process, reported
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from benchmarks.verdict import verdict
from keras_mtl.study.tables import text_table

LONG_ENOUGH = 60.0  # seconds after which a contender is not started again

ASKED = {"keras_mtl, 64 tasks": 10.0, "keras_mtl, 617 tasks": 90.0}


@dataclass
class Starts:
    """Seconds of each start of a contender.

    Attributes:
        entry: the contender.
        versions: of its packages.
        device: what it computes on.
        parameters: number of trained weights.
        first_step: from the end of the imports to the end of the first step.
        since_start: from the start of the process.
    """

    entry: Entry
    versions: str = ""
    device: str = ""
    parameters: int = 0
    first_step: list[float] = field(default_factory=list)
    since_start: list[float] = field(default_factory=list)


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    starts = measure(setting)
    return Result(figures(starts), report(starts))


def measure(setting: Setting) -> list[Starts]:
    """Every contender's starts: a new process each time, no two at once."""
    measured = []
    for entry in setting.of("startup"):
        with reported():
            measured.append(_starts(entry, setting))
    return measured


def _starts(entry: Entry, setting: Setting) -> Starts:
    starts = Starts(entry)
    while len(starts.since_start) < setting.rounds and sum(starts.since_start) < LONG_ENOUGH:
        with Process(entry, setting.pythons, setting.folder) as process:
            start = process.start()
        starts.first_step.append(start["first_step"])
        starts.since_start.append(start["since_start"])
        starts.versions, starts.device = start["versions"], start["device"]
        starts.parameters = start["parameters"]
    return starts


def figures(starts: Sequence[Starts]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure(
            *("startup", s.entry.name, measure, round(min(seconds), 2), "s"),
            *(s.versions, s.entry.model, s.device),
        )
        for s in starts
        for measure, seconds in (
            ("first step", s.first_step),
            ("first step, with imports", s.since_start),
        )
    ]


def report(starts: Sequence[Starts]) -> str:
    """A table of the best starts, next to what is asked of many tasks."""
    header = ["contender", "model", "parameters", "first step, s", "slowest, s", "with imports, s"]
    rows = [
        [
            s.entry.name,
            s.entry.model,
            f"{s.parameters:,}",
            *(f"{x:.1f}" for x in (min(s.first_step), max(s.first_step), min(s.since_start))),
            *verdict(min(s.first_step), ASKED.get(s.entry.name), at_most=True),
        ]
        for s in starts
    ]
    return text_table([*header, "asked", "first step"], rows)
