"""Training speed: every contender in its own process, an epoch each in turn.

Taking turns spreads the machine's fast and slow states over all of them; the best epoch and the
least CPU time are what is compared.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.contenders import (
    DEEPCTR,
    LIMIT,
    OURS_BEST,
    OURS_DEFAULT,
    TORCH_LOOP,
    Process,
    reported,
)
from benchmarks.figures import Figure
from benchmarks.setting import Result, Setting
from benchmarks.workload import Workload
from keras_mtl.study.tables import text_table

WARM_UP_BATCHES = 32

# numerator, denominator, ratio to reach
ASKED = (
    (OURS_BEST, DEEPCTR, 1.6),
    (OURS_BEST, TORCH_LOOP, 2.5),
    (OURS_BEST, LIMIT, 0.7),
    (OURS_DEFAULT, DEEPCTR, None),
    (OURS_DEFAULT, TORCH_LOOP, None),
)


@dataclass
class Speed:
    """Epochs of one contender."""

    rows: int
    parameters: int
    versions: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        """Adds an epoch's seconds."""
        self.wall.append(wall)
        self.cpu.append(cpu)

    @property
    def best(self) -> float:
        """Rows a second of the fastest epoch."""
        return self.rows / min(self.wall)

    @property
    def median(self) -> float:
        """Rows a second of the middle epoch."""
        return self.rows / sorted(self.wall)[len(self.wall) // 2]

    @property
    def per_cpu_second(self) -> float:
        """Rows a second of CPU time, all threads together, of the thriftiest epoch."""
        return self.rows / min(self.cpu)


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    speeds = measure(setting)
    return Result(figures(speeds), report(speeds))


def measure(setting: Setting) -> dict[str, Speed]:
    """Speeds by contender, over an epoch of each in every round."""
    rows = len(setting.work)
    speeds: dict[str, Speed] = {}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for entry in setting.entries:
            with reported():
                process = stack.enter_context(Process(entry, setting.pythons, setting.folder))
                start = process.start()
                process.train(_warm_up_rows(setting.work))
                processes[entry.name] = process
                speeds[entry.name] = Speed(rows, start["parameters"], start["versions"])
        for _ in range(setting.rounds):
            for name in list(processes):
                with reported():
                    process = processes.pop(name)  # back in turn unless it ends
                    speeds[name].add(**process.train(rows))
                    processes[name] = process
    return {name: speed for name, speed in speeds.items() if speed.wall}


def _warm_up_rows(work: Workload) -> int:
    """Some full batches and the odd last one, which is compiled, too."""
    size = work.sizes.batch_size
    return min(len(work), WARM_UP_BATCHES * size + len(work) % size)


def figures(speeds: Mapping[str, Speed]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure("training", name, measure, round(value, 1), unit, speed.versions)
        for name, speed in speeds.items()
        for measure, value, unit in (
            ("best epoch", speed.best, "rows/s"),
            ("median epoch", speed.median, "rows/s"),
            ("best CPU time", speed.per_cpu_second, "rows/CPU s"),
            ("parameters", speed.parameters, ""),
        )
    ]


def report(speeds: Mapping[str, Speed]) -> str:
    """A table of speeds, and the ratios that are asked for."""
    header = ["contender", "parameters", "rows/s best", "rows/s median", "rows/CPU s"]
    rows = [
        [
            name,
            f"{s.parameters:,}",
            *(f"{x:,.0f}" for x in (s.best, s.median, s.per_cpu_second)),
        ]
        for name, s in speeds.items()
    ]
    return f"{text_table(header, rows)}\n\n{_ratios(speeds)}"


def _ratios(speeds: Mapping[str, Speed]) -> str:
    header = ["ratio", "best epochs", "CPU time", "asked"]
    rows = []
    for name, base, asked in ASKED:
        if name in speeds and base in speeds:
            ours, theirs = speeds[name], speeds[base]
            ratios = (ours.best / theirs.best, ours.per_cpu_second / theirs.per_cpu_second)
            wanted = "" if asked is None else f"{asked:.2f}"
            rows.append([f"{name} / {base}", *(f"{ratio:.2f}" for ratio in ratios), wanted])
    return text_table(header, rows)
