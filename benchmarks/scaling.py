"""Step time and memory against the number of tasks, of experts, and of rows in a batch.

One size changes at a time, from a base point. Beside ours stands the time that the model's matrix
products alone take: what the arithmetic asks for.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np

from benchmarks.contenders import LIMIT, OURS_BEST, OURS_DEFAULT, Entry, Process, reported
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from benchmarks.verdict import verdict
from benchmarks.workload import Workload
from keras_mtl.study.tables import text_table

STEPS, ROWS = 64, 2**18  # of an epoch; fewer steps where the batches are large, but at least 16
MOST_OVER_PRODUCTS = 1.5
LONGEST_FIRST_STEP = 10.0


@dataclass(frozen=True)
class Point:
    """Sizes of one measurement."""

    tasks: int = 2
    experts: int = 8
    batch: int = 1024

    def __str__(self) -> str:
        return f"{self.tasks} tasks, {self.experts} experts, batch {self.batch}"

    @property
    def rows(self) -> int:
        """Rows of an epoch: whole batches, as many as fill calls of 16 steps."""
        return self.batch * max(16, min(STEPS, ROWS // self.batch))


BASE = Point()
MANY = replace(BASE, tasks=64)
POINTS = tuple(
    dict.fromkeys(
        [
            *(replace(BASE, tasks=count) for count in (2, 4, 8, 16, 32, 64)),
            *(replace(BASE, experts=count) for count in (4, 8, 16, 32, 64)),
            *(replace(BASE, batch=rows) for rows in (128, 512, 1024, 4096, 16384)),
        ]
    )
)


@dataclass
class Cost:
    """What a contender's steps at one point cost.

    Attributes:
        first_step: seconds from the end of the imports to the end of the first step.
        versions: of its packages.
        steps: milliseconds a step, an epoch each.
        peak_mib: the process' largest resident memory, its rows included.
    """

    first_step: float
    versions: str
    steps: list[float] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def step(self) -> float:
        """Milliseconds a step of the fastest epoch."""
        return min(self.steps)


Costs = dict[Point, dict[str, Cost]]


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    costs = measure(setting, POINTS)
    return Result(figures(costs), report(costs))


def measure(setting: Setting, points: Iterable[Point]) -> Costs:
    """Costs by point and contender; the contenders of a point take turns."""
    costs: Costs = {}
    entries = [_in_backend(entry) for entry in setting.of("scaling")]
    for point in points:
        with TemporaryDirectory(dir=setting.folder) as folder:
            workload(setting.work, point).write(Path(folder))
            measured = _costs(entries, setting, Path(folder), point)
        if measured:
            costs[point] = measured
    return costs


def workload(work: Workload, point: Point) -> Workload:
    """The rows over and over, with labels drawn for each task."""
    rng = np.random.default_rng(work.sizes.seed)
    order = np.arange(point.rows) % len(work)
    return replace(
        work,
        sizes=replace(work.sizes, batch_size=point.batch, num_experts=point.experts),
        categorical=work.categorical[order],
        numeric=work.numeric[order],
        labels={
            f"task_{task}": rng.integers(2, size=point.rows).astype("float32")
            for task in range(point.tasks)
        },
    )


def _in_backend(entry: Entry) -> Entry:
    """The same contender; the matrix products in the Keras backend, so that one device computes."""
    if entry.name == LIMIT and keras.backend.backend() == "jax":
        return replace(entry, module="matrix_products_jax", package="jax")
    return entry


def _costs(
    entries: Sequence[Entry], setting: Setting, folder: Path, point: Point
) -> dict[str, Cost]:
    costs: dict[str, Cost] = {}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for entry in entries:
            with reported():
                process = stack.enter_context(Process(entry, setting.pythons, folder))
                start = process.start()
                process.train(point.rows)  # compiles what a whole epoch needs
                costs[entry.name] = Cost(start["first_step"], start["versions"])
                processes[entry.name] = process
        for _ in range(setting.rounds):
            for name in list(processes):
                with reported():
                    process = processes.pop(name)  # back in turn unless it ends
                    reply = process.train(point.rows)
                    costs[name].steps.append(1000 * reply["wall"] / (point.rows // point.batch))
                    costs[name].peak_mib = reply["peak_mib"]
                    processes[name] = process
    return {name: cost for name, cost in costs.items() if cost.steps}


def figures(costs: Costs) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure("scaling", name, f"{measure}, {point}", round(value, 3), unit, cost.versions, "mmoe")
        for point, by_name in costs.items()
        for name, cost in by_name.items()
        for measure, value, unit in (
            ("step", cost.step, "ms"),
            ("first step", cost.first_step, "s"),
            ("peak memory", cost.peak_mib, "MiB"),
        )
    ]


def report(costs: Costs) -> str:
    """A table of all points, and what is asked of 64 tasks."""
    names = list(dict.fromkeys(name for by_name in costs.values() for name in by_name))
    header = ["tasks", "experts", "batch"]
    header += [f"{name}, ms" for name in names]
    header += [f"{name}, MiB over base" for name in names if name != LIMIT]
    lines = []
    for point, by_name in costs.items():
        line = [f"{size:,}" for size in (point.tasks, point.experts, point.batch)]
        line += [f"{by_name[name].step:.2f}" if name in by_name else "" for name in names]
        line += [_over_base(costs, point, name) for name in names if name != LIMIT]
        lines.append(line)
    asked = text_table(["64 tasks", "measured", "asked", ""], _asked(costs))
    return f"{text_table(header, lines)}\n\n{asked}"


def _over_base(costs: Costs, point: Point, name: str) -> str:
    """How much more memory than at the base point the process took at its peak."""
    here, base = costs[point].get(name), costs.get(BASE, {}).get(name)
    return f"{here.peak_mib - base.peak_mib:+.0f}" if here and base else ""


def _asked(costs: Costs) -> list[list[str]]:
    few, many = costs.get(BASE, {}), costs.get(MANY, {})
    rows = []
    for name in (OURS_BEST, OURS_DEFAULT):
        if {name, LIMIT} <= few.keys() & many.keys():
            growth = many[name].step / few[name].step
            ratio = growth / (many[LIMIT].step / few[LIMIT].step)
            what = f"{name}: step over that of {BASE.tasks}, over the same of the {LIMIT}"
            rows.append([what, f"{ratio:.2f}", *verdict(ratio, MOST_OVER_PRODUCTS, at_most=True)])
        if name in many:
            seconds = many[name].first_step
            what = f"{name}: seconds to the end of the first step"
            rows.append(
                [what, f"{seconds:.1f}", *verdict(seconds, LONGEST_FIRST_STEP, at_most=True)]
            )
    return rows
