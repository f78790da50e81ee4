"""What sparse experts cost: figures, tables, and what is asked of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.contenders import (
    ALONE,
    ALONE_XLA,
    CAPACITY_FACTOR,
    DENSE,
    DENSE_XLA,
    GATHER,
    GATHER_XLA,
    HF_SWITCH,
    MOE,
    MOE_CAPACITY,
    MOE_CAPACITY_XLA,
    MOE_XLA,
    SCATTER,
    SCATTER_XLA,
    SWITCH,
    SWITCH_CALM,
    SWITCH_CALM_XLA,
    SWITCH_XLA,
    WEIGHT_UPDATE,
)
from benchmarks.figures import Figure
from benchmarks.verdict import verdict
from keras_mtl.study.tables import text_table

MOST_OVER_DENSE = {8: 1.35, 32: 1.5, 128: 1.9}
MOST_OVER_DENSE_ON_GPU = {64: 2.0}
LEAST_OVER_PEER = {32: 2.0}
MOST_GROWTH = 1.1  # of activations, from the fewest experts to the most

# numerator, denominator
SWITCH_OVER_DENSE = (
    (SWITCH, DENSE),
    (SWITCH_XLA, DENSE_XLA),
    (SWITCH_CALM, DENSE),
    (SWITCH_CALM_XLA, DENSE_XLA),
)
SWITCHES = tuple(switch for switch, _ in SWITCH_OVER_DENSE)
MOE_OVER_DENSE = (
    (MOE, DENSE),
    (MOE_XLA, DENSE_XLA),
    (MOE_CAPACITY, DENSE),
    (MOE_CAPACITY_XLA, DENSE_XLA),
)
ALONE_OVER_DENSE = ((ALONE, DENSE), (ALONE_XLA, DENSE_XLA))
PEER_OVER_SWITCH = ((HF_SWITCH, SWITCH), (HF_SWITCH, SWITCH_XLA))
SCATTER_OVER_GATHER = ((SCATTER, GATHER), (SCATTER_XLA, GATHER_XLA))
FLOOR = "floor"


@dataclass
class Cost:
    """What a contender's steps cost.

    Attributes:
        parameters: number of trained weights.
        versions: of its packages.
        device: what it computes on.
        wall: milliseconds a step, of each round.
        cpu: milliseconds of CPU time a step, all threads together, of each round.
        step_mib: memory of a step beside the weights.
        activations_mib: the same without gradients of the kernels.
    """

    parameters: int
    versions: str = ""
    device: str = "cpu"
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    step_mib: float | None = None
    activations_mib: float | None = None

    @property
    def best(self) -> float:
        """Milliseconds a step of the fastest round."""
        return min(self.wall)


Costs = dict[int, dict[str, Cost]]
"""By number of experts and contender."""


def figures(costs: Costs) -> list[Figure]:
    """The rows of the CSV."""
    of_contenders = [
        Figure(
            *("sparse", name, measure, round(value, 4), unit),
            *(cost.versions, f"{experts} experts", cost.device),
        )
        for experts, by_name in costs.items()
        for name, cost in by_name.items()
        for measure, value, unit in (
            ("best step", cost.best, "ms"),
            ("median step", median(cost.wall), "ms"),
            ("CPU time of a step", min(cost.cpu), "ms"),
            ("parameters", cost.parameters, ""),
            ("memory of a step", cost.step_mib, "MiB"),
            ("activations", cost.activations_mib, "MiB"),
        )
        if value is not None
    ]
    floors = [
        Figure("sparse", FLOOR, "best step", round(ms, 4), "ms", model=f"{experts} experts")
        for experts, by_name in costs.items()
        if (dense := fastest(by_name, (DENSE, DENSE_XLA)))
        and (ms := floor(by_name, dense)) is not None
    ]
    return [*of_contenders, *floors]


def floor(costs: dict[str, Cost], dense: str) -> float | None:
    """Milliseconds that a step takes at least: the products, and the update of all kernels."""
    if not {WEIGHT_UPDATE, dense} <= costs.keys():
        return None
    return CAPACITY_FACTOR * costs[dense].best + costs[WEIGHT_UPDATE].best


def fastest(costs: dict[str, Cost], names: Iterable[str]) -> str | None:
    """Which of those that were measured has the best step."""
    return min(costs.keys() & set(names), key=lambda name: costs[name].best, default=None)


def report(costs: Costs) -> str:
    """A table for each number of experts, ratios next to what is asked, and memory."""
    ratios = ["ratio", "experts", "best steps", "CPU time", "asked", "by best steps", "floor"]
    memory = ["MiB beside the weights", "experts", "step", "activations"]
    tables = [
        (ratios, [row for experts, own in costs.items() for row in _ratios(experts, own)]),
        (memory, list(_memory(costs))),
        (["activations", "experts", "ratio", "asked", ""], list(_growth(costs))),
    ]
    steps = [_steps(experts, by_name) for experts, by_name in costs.items()]
    return "\n\n".join([*steps, *(text_table(header, rows) for header, rows in tables if rows)])


def _steps(experts: int, costs: dict[str, Cost]) -> str:
    header = [f"{experts} experts", "parameters", "ms best", "ms median", "ms of CPU time"]
    rows = [
        [
            *(name, f"{cost.parameters:,}"),
            *(f"{ms:,.2f}" for ms in (cost.best, median(cost.wall), min(cost.cpu))),
        ]
        for name, cost in costs.items()
    ]
    return text_table(header, rows)


def _ratios(experts: int, costs: dict[str, Cost]) -> Iterator[list[str]]:
    others = (*MOE_OVER_DENSE, *ALONE_OVER_DENSE, *PEER_OVER_SWITCH, *SCATTER_OVER_GATHER)
    for over, under in (*_switch_over_dense(costs), *others):
        if {over, under} <= costs.keys():
            ratio = costs[over].best / costs[under].best
            thrift = min(costs[over].cpu) / min(costs[under].cpu)
            least = floor(costs, under) if over in SWITCHES else None
            yield [
                *(f"{over} / {under}", f"{experts}", f"{ratio:.2f}", f"{thrift:.2f}"),
                *verdict(ratio, *_asked(over, experts, costs[over].device)),
                "" if least is None else f"{least / costs[under].best:.2f}",
            ]


def _switch_over_dense(costs: dict[str, Cost]) -> Sequence[tuple[str, str]]:
    """Each way over its own, and the faster over the faster where that is another pair."""
    switch, dense = (fastest(costs, names) for names in zip(*SWITCH_OVER_DENSE, strict=True))
    pairs = [*SWITCH_OVER_DENSE, (switch, dense)] if switch and dense else SWITCH_OVER_DENSE
    return tuple(dict.fromkeys(pairs))


def _asked(name: str, experts: int, device: str) -> tuple[float | None, bool]:
    """The ratio that is asked for, if any, and whether it is the largest one."""
    if name == HF_SWITCH:
        return LEAST_OVER_PEER.get(experts), False
    asked = MOST_OVER_DENSE if device == "cpu" else MOST_OVER_DENSE_ON_GPU
    return (asked.get(experts) if name in SWITCHES else None), True


def _memory(costs: Costs) -> Iterator[list[str]]:
    for name in dict.fromkeys(name for by_name in costs.values() for name in by_name):
        for experts, by_name in costs.items():
            cost = by_name.get(name)
            if cost and cost.step_mib is not None and cost.activations_mib is not None:
                mib = (cost.step_mib, cost.activations_mib)
                yield [name, f"{experts}", *(f"{x:,.0f}" for x in mib)]


def _growth(costs: Costs) -> Iterator[list[str]]:
    few, many = min(costs), max(costs)
    for name in (SWITCH, SWITCH_XLA):
        pair = [costs[experts].get(name) for experts in (few, many)]
        least, most = (cost.activations_mib if cost else None for cost in pair)
        if least and most and few < many:
            ratio = most / least
            cells = (name, f"{many} / {few}", f"{ratio:.2f}")
            yield [*cells, *verdict(ratio, MOST_GROWTH, at_most=True)]
