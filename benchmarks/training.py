"""Training speed: every contender in its own process, an epoch each in turn.

Taking turns spreads the machine's fast and slow states over all of them; the best epoch and the
least CPU time are what is compared.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.contenders import (
    DEEPCTR,
    DEEPCTR_16,
    LIBMTL,
    LIMIT,
    MODELS,
    OURS_BEST,
    OURS_DEFAULT,
    RATE,
    RECHUB_LOOP,
    RECHUB_TRAINER,
    TORCH_LOOP,
    Entry,
    Process,
    reported,
)
from benchmarks.figures import Figure
from benchmarks.kernels import kernels
from benchmarks.setting import Result, Setting
from benchmarks.verdict import verdict
from benchmarks.workload import Workload
from keras_mtl.study.tables import text_table

WARM_UP_BATCHES = 32

# numerator, denominator, ratio to reach
ASKED = (
    (OURS_BEST, DEEPCTR, 1.6),
    (OURS_BEST, RECHUB_LOOP, 2.5),
    (OURS_BEST, TORCH_LOOP, 2.5),
    (OURS_BEST, LIMIT, 0.7),
    (OURS_BEST, DEEPCTR_16, None),
    (OURS_BEST, RECHUB_TRAINER, None),
    (OURS_BEST, LIBMTL, None),
    (OURS_DEFAULT, DEEPCTR, None),
    (OURS_DEFAULT, RECHUB_LOOP, None),
    (OURS_DEFAULT, TORCH_LOOP, None),
)


@dataclass
class Speed:
    """Epochs of one contender.

    Attributes:
        name: the contender.
        model: what it trains.
        rows: rows of an epoch.
        flops: operations of a row in the matrix products.
        parameters: number of trained weights.
        versions: of its packages.
        device: what it computes on.
        wall: seconds of each epoch.
        cpu: seconds of CPU time of each epoch, all threads together.
    """

    name: str
    model: str
    rows: int
    flops: int
    parameters: int
    versions: str = ""
    device: str = "cpu"
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
        """Rows a second of CPU time of the thriftiest epoch."""
        return self.rows / min(self.cpu)

    @property
    def gflops(self) -> float:
        """Billions of operations a second in matrix products, in the fastest epoch."""
        return self.best * self.flops / 1e9


def run(setting: Setting) -> Result:
    """Measures one model after the other, and tells."""
    speeds = [speed for model in MODELS for speed in measure(setting, model)]
    return Result(figures(speeds), "\n\n".join(report(model, speeds) for model in models(speeds)))


def measure(setting: Setting, model: str) -> list[Speed]:
    """Speeds of those who train `model`, over an epoch of each in every round."""
    speeds: list[Speed] = []
    with ExitStack() as stack:
        running: list[tuple[Process, Speed]] = []
        for entry in setting.of("training"):
            if entry.model == model:
                with reported():
                    process = stack.enter_context(Process(entry, setting.pythons, setting.folder))
                    speeds.append(_start(process, entry, setting.work))
                    running.append((process, speeds[-1]))
        for _ in range(setting.rounds):
            for pair in list(running):
                running.remove(pair)  # back in turn unless it ends
                with reported():
                    process, speed = pair
                    reply = process.train(speed.rows)
                    speed.add(reply["wall"], reply["cpu"])
                    running.append(pair)
    return [speed for speed in speeds if speed.wall]


def _start(process: Process, entry: Entry, work: Workload) -> Speed:
    """Waits for the first step, then warms up: full batches, and the odd last one to compile."""
    start = process.start()
    size = work.sizes.batch_size
    process.train(min(len(work), WARM_UP_BATCHES * size + len(work) % size))
    flops = start["flops"] or kernels(work, entry.model).flops
    described = (start["parameters"], start["versions"], start["device"])
    return Speed(entry.name, entry.model, len(work), flops, *described)


def figures(speeds: Sequence[Speed]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure("training", s.name, measure, round(value, 1), unit, s.versions, s.model, s.device)
        for s in speeds
        for measure, value, unit in (
            ("best epoch", s.best, "rows/s"),
            ("median epoch", s.median, "rows/s"),
            ("best CPU time", s.per_cpu_second, "rows/CPU s"),
            ("matrix products", s.gflops, "GFLOP/s"),
            ("parameters", s.parameters, ""),
        )
    ]


def models(speeds: Sequence[Speed]) -> list[str]:
    """The models that were trained."""
    return list(dict.fromkeys(speed.model for speed in speeds))


def report(model: str, speeds: Sequence[Speed]) -> str:
    """A model's table of speeds, and the ratios that are asked for."""
    own = {speed.name: speed for speed in speeds if speed.model == model}
    header = [model, "parameters", "rows/s best", "rows/s median", "rows/CPU s", "GFLOP/s"]
    rows = [
        [
            s.name,
            f"{s.parameters:,}",
            # The matrix rate's rows are not the model's.
            *("-" if s.name == RATE else f"{x:,.0f}" for x in (s.best, s.median, s.per_cpu_second)),
            f"{s.gflops:,.1f}",
        ]
        for s in own.values()
    ]
    header_of_ratios = [f"{model}, ratio", "best epochs", "CPU time", "asked", "by epochs", "limit"]
    ratios = [*_ratios(own), *_fractions(own)]
    return "\n\n".join([text_table(header, rows), text_table(header_of_ratios, ratios)])


def _ratios(speeds: dict[str, Speed]) -> list[list[str]]:
    rows = []
    for name, base, asked in ASKED:
        if name in speeds and base in speeds:
            ours, theirs = speeds[name], speeds[base]
            ratio = ours.best / theirs.best
            thrift = ours.per_cpu_second / theirs.per_cpu_second
            # What nobody can exceed: the matrix products alone, next to the same contender.
            limit = f"{speeds[LIMIT].best / theirs.best:.2f}" if LIMIT in speeds else ""
            measured = (f"{ratio:.2f}", f"{thrift:.2f}")
            rows.append([f"{name} / {base}", *measured, *verdict(ratio, asked), limit])
    return rows


def _fractions(speeds: dict[str, Speed]) -> list[list[str]]:
    """The fraction of the device's matrix rate that ours and the limit reach."""
    if RATE not in speeds:
        return []
    rate = speeds[RATE].gflops
    return [
        [f"{name} / {RATE}", f"{speeds[name].gflops / rate:.4f}", "", "", "", ""]
        for name in (OURS_BEST, OURS_DEFAULT, LIMIT)
        if name in speeds
    ]
