"""What `check-export` costs beyond loading: seconds for each signature, of many tasks."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks import data
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from benchmarks.verdict import verdict
from keras_mtl import Task, zoo
from keras_mtl.features import TabularFeatures
from keras_mtl.serving import check_export
from keras_mtl.serving.export_folder import read_graph, read_signatures
from keras_mtl.serving.server import answer
from keras_mtl.study.tables import text_table

TASKS = 139  # the schools of a public data set
ASKED = 0.2  # seconds a signature
CONTENDER = f"keras_mtl, {TASKS} tasks"


@dataclass(frozen=True)
class Cost:
    """Seconds beyond loading for each signature, by the clock and of CPU."""

    clock: float
    cpu: float


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    table = data.new_table(setting.split, setting.work.sizes).adapt(setting.split.columns)
    cost = measure(export(table, TASKS, setting.folder / "checking"), setting.rounds)
    return Result(figures(cost), report(cost))


def export(table: TabularFeatures, num_tasks: int, folder: Path) -> Path:
    """The folder of an MMoE on raw columns; its weights do not matter."""
    tasks = [Task(f"school_{index}", "regression") for index in range(num_tasks)]
    zoo.mmoe(table, tasks).export(folder / "1", verbose=False)
    return folder / "1"


def measure(folder: Path, rounds: int) -> Cost:
    """The least of several checks, less the least of as many loads."""
    loads = [_spent(lambda: answer(folder, [])) for _ in range(rounds)]
    checks = [_spent(lambda: check_export(folder)) for _ in range(rounds)]
    signatures = len(read_signatures(read_graph(folder)))
    clock, cpu = (
        (min(check[which] for check in checks) - min(load[which] for load in loads)) / signatures
        for which in (0, 1)
    )
    return Cost(clock, cpu)


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU, here and in the processes that were started."""
    before, start = os.times(), time.perf_counter()
    work()
    after = os.times()
    return time.perf_counter() - start, sum(after[:4]) - sum(before[:4])


def figures(cost: Cost) -> list[Figure]:
    """Both figures."""
    versions = f"keras=={version('keras')} tensorflow=={version('tensorflow')}"
    return [
        Figure("checking", CONTENDER, measure, value, "s", versions, "mmoe", "cpu")
        for measure, value in (("a signature", cost.clock), ("a signature, CPU", cost.cpu))
    ]


def report(cost: Cost) -> str:
    """A row, and whether what was asked is met."""
    header = ["check-export beyond loading", "s a signature", "CPU s a signature", "asked", ""]
    row = (CONTENDER, f"{cost.clock:.3f}", f"{cost.cpu:.3f}")
    return text_table(header, [(*row, *verdict(cost.clock, ASKED, at_most=True))])
