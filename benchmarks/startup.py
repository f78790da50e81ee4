"""Time to the first step: from the end of the imports, over building and compiling."""

from collections.abc import Mapping, Sequence

from benchmarks.contenders import LIMIT, Process, reported
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from keras_mtl.study.tables import text_table


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    seconds = measure(setting)
    return Result(figures(seconds), report(seconds))


def measure(setting: Setting) -> dict[str, list[float]]:
    """Seconds of every start, by contender; a new process each time, no two at once."""
    seconds: dict[str, list[float]] = {}
    for entry in setting.entries:
        if entry.name != LIMIT:
            with reported():
                for _ in range(setting.rounds):
                    with Process(entry, setting.pythons, setting.folder) as process:
                        start = process.start()
                    seconds.setdefault(entry.name, []).append(start["first_step"])
    return seconds


def figures(seconds: Mapping[str, Sequence[float]]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure("startup", name, "first step", round(min(times), 2), "s")
        for name, times in seconds.items()
    ]


def report(seconds: Mapping[str, Sequence[float]]) -> str:
    """A table of the best and the worst start."""
    rows = [[name, f"{min(t):.1f}", f"{max(t):.1f}"] for name, t in seconds.items()]
    return text_table(["contender", "first step, s", "slowest, s"], rows)
