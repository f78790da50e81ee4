"""Time to learn a table's vocabularies and to encode its rows."""

import time
from collections.abc import Mapping, Sequence

from benchmarks import data
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from keras_mtl.study.tables import text_table


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    seconds = measure(setting)
    return Result(figures(seconds), report(seconds))


def measure(setting: Setting) -> dict[str, list[float]]:
    """Seconds of `adapt` and of `encode`, from raw columns each time."""
    columns = setting.split.columns
    seconds: dict[str, list[float]] = {"adapt": [], "encode": []}
    for _ in range(setting.rounds):
        table = data.new_table(setting.split, setting.work.sizes)
        for name, step in (("adapt", table.adapt), ("encode", table.encode)):
            started = time.perf_counter()
            step(columns)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def figures(seconds: Mapping[str, Sequence[float]]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure("encoding", "keras_mtl", name, round(min(times), 3), "s")
        for name, times in seconds.items()
    ]


def report(seconds: Mapping[str, Sequence[float]]) -> str:
    """A table of the best times, with their sum."""
    best = {name: min(times) for name, times in seconds.items()}
    rows = [[name, f"{value:.2f}"] for name, value in (best | {"both": sum(best.values())}).items()]
    return text_table(["encoding", "s"], rows)
