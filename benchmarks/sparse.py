"""A training step of one feed-forward layer of sparse experts, next to the dense layer's.

All layers get the same tokens. Expert capacity makes their products 1.25 times the dense layer's,
whatever the number of experts; their weights grow with it, and so does what an update must read and
write: both together are the floor.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.contenders import DENSE, DENSE_XLA, SWITCH, SWITCH_XLA, Process, reported
from benchmarks.setting import Result, Setting
from benchmarks.sparse_report import Cost, Costs, figures, report
from benchmarks.workload import Workload

EXPERTS = (8, 32, 64, 128)
SECONDS, MOST_STEPS = 1.0, 4096  # of a round

WITH_MEMORY = (DENSE, DENSE_XLA, SWITCH, SWITCH_XLA)


@dataclass(frozen=True)
class Layer:
    """Sizes of the dense layer, and of each expert."""

    tokens: int = 4096
    width: int = 256
    hidden: int = 1024


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    costs = measure(setting, Layer(), EXPERTS)
    return Result(figures(costs), report(costs))


def measure(setting: Setting, layer: Layer, experts: Iterable[int]) -> Costs:
    """Costs for each number of experts; the contenders of one take turns."""
    costs: Costs = {}
    for count in experts:
        with TemporaryDirectory(dir=setting.folder) as folder:
            workload(setting.work, layer, count).write(Path(folder))
            here = replace(setting, folder=Path(folder))
            measured = _times(here, layer.tokens)
            _add_memory(here, measured)
        if measured:
            costs[count] = measured
    return costs


def workload(work: Workload, layer: Layer, experts: int) -> Workload:
    """Tokens in place of rows."""
    rng = np.random.default_rng(work.sizes.seed)
    return Workload(
        sizes=replace(
            work.sizes,
            batch_size=layer.tokens,
            num_experts=experts,
            expert_units=(layer.hidden, layer.width),
        ),
        vocabularies={},
        table={},
        categorical=np.zeros((layer.tokens, 0), "int32"),
        numeric=rng.normal(size=(layer.tokens, layer.width)).astype("float32"),
    )


def _times(setting: Setting, tokens: int) -> dict[str, Cost]:
    """Everybody's steps, about as long as everybody else's in each round."""
    costs: dict[str, Cost] = {}
    with ExitStack() as stack:
        running: dict[str, tuple[Process, int]] = {}
        for entry in setting.of("sparse"):
            with reported():
                process = stack.enter_context(Process(entry, setting.pythons, setting.folder))
                start = process.start()
                steps = round(SECONDS / process.train(tokens)["wall"])
                running[entry.name] = process, min(max(1, steps), MOST_STEPS)
                described = (start["parameters"], start["versions"], start["device"])
                costs[entry.name] = Cost(*described)
        for _ in range(setting.rounds):
            for name in list(running):
                with reported():
                    process, steps = running.pop(name)  # back in turn unless it ends
                    reply = process.train(steps * tokens)
                    costs[name].wall.append(1000 * reply["wall"] / steps)
                    costs[name].cpu.append(1000 * reply["cpu"] / steps)
                    running[name] = process, steps
    return {name: cost for name, cost in costs.items() if cost.wall}


def _add_memory(setting: Setting, costs: dict[str, Cost]) -> None:
    """Memory of ours and of the dense layer, each in a new process."""
    for entry in setting.of("sparse"):
        if entry.name in WITH_MEMORY and (cost := costs.get(entry.name)):
            asked = replace(entry, worker="benchmarks.memory_worker")
            with reported(), Process(asked, setting.pythons, setting.folder) as process:
                reply = process.start()
                cost.step_mib, cost.activations_mib = reply["step"], reply["activations"]
