"""Latency of answers to requests of 1, 32 and 512 rows: ours as exported, and the peers.

Each server is a process of its own, and one at a time is asked. A ratio is that of two medians of
one round; the middle one of all rounds is compared with what is asked.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from statistics import median

import numpy as np

from benchmarks.contenders import (
    SERVED_DEEPCTR,
    SERVED_PACKED,
    SERVED_RAW,
    SERVED_RECHUB,
    Process,
    reported,
)
from benchmarks.figures import Figure
from benchmarks.latency_worker import DIFFERENT
from benchmarks.raw_rows import RawRows
from benchmarks.setting import Result, Setting
from benchmarks.verdict import verdict
from keras_mtl.study.tables import text_table

REQUESTS = {1: 400, 32: 300, 512: 60}
"""Requests of a round by their number of rows."""
SENT_ROWS = DIFFERENT * max(REQUESTS)

# numerator, denominator, numbers of rows, the largest ratio that is asked for
ASKED = (
    (SERVED_PACKED, SERVED_DEEPCTR, (1, 32), 0.6),
    (SERVED_PACKED, SERVED_RECHUB, (1, 32), 0.7),
    (SERVED_RAW, SERVED_PACKED, (1, 32, 512), 2.5),
)

Times = dict[str, dict[int, list[list[float]]]]
"""Seconds of each request of each round, by server and by rows."""


def run(setting: Setting) -> Result:
    """Measures, and tells."""
    times, versions = measure(setting)
    return Result(figures(times, versions), report(times))


def measure(setting: Setting) -> tuple[Times, dict[str, str]]:
    """Times and versions by server; in every round requests of each size to each, in turn.

    Raises:
        ValueError: If there are fewer rows than the largest request has.
    """
    if len(setting.work) < max(REQUESTS):
        raise ValueError(
            f"`latency` sends requests of up to {max(REQUESTS)} rows. "
            f"Received: {len(setting.work)} rows"
        )
    sent = {name: values[:SENT_ROWS] for name, values in setting.split.columns.items()}
    RawRows.of(sent).write(setting.folder)
    times: Times = {}
    versions: dict[str, str] = {}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for entry in setting.of("latency"):
            with reported():
                process = stack.enter_context(Process(entry, setting.pythons, setting.folder))
                versions[entry.name] = process.start()["versions"]
                processes[entry.name] = process
        for _ in range(setting.rounds):
            for rows, requests in REQUESTS.items():
                for name in list(processes):
                    with reported():
                        process = processes.pop(name)  # back in turn unless it ends
                        seconds = process.ask(rows, requests)["seconds"]
                        times.setdefault(name, {}).setdefault(rows, []).append(seconds)
                        processes[name] = process
    return times, versions


def figures(times: Times, versions: Mapping[str, str]) -> list[Figure]:
    """The rows of the CSV."""
    return [
        Figure(
            *("latency", name, f"{measure}, batch {size}", round(value, 4), "ms"),
            *(versions[name], "mmoe"),
        )
        for name, by_rows in times.items()
        for size, rounds in by_rows.items()
        for measure, value in zip(("median", "99th percentile"), milliseconds(rounds), strict=True)
    ]


def milliseconds(rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The median and the 99th percentile of all requests."""
    every = [1000 * seconds for one in rounds for seconds in one]
    return float(np.median(every)), float(np.percentile(every, 99))


def report(times: Times) -> str:
    """A table of latencies, and the ratios that are asked for."""
    header = ["server", *(f"{m}, batch {n}" for n in REQUESTS for m in ("median", "p99"))]
    lines = [
        [name, *(f"{ms:.2f}" for rounds in by_rows.values() for ms in milliseconds(rounds))]
        for name, by_rows in times.items()
        if len(by_rows) == len(REQUESTS)
    ]
    ratios = text_table(["ratio", "of the medians", "asked", ""], _ratios(times))
    return f"{text_table(header, lines)}\nmilliseconds\n\n{ratios}"


def _ratios(times: Times) -> list[list[str]]:
    rows = []
    for name, base, sizes, most in ASKED:
        for size in sizes:
            ours, theirs = (times.get(server, {}).get(size, []) for server in (name, base))
            ratios = [median(a) / median(b) for a, b in zip(ours, theirs, strict=False)]
            if ratios:
                ratio = median(ratios)
                what = f"{name} / {base}, batch {size}"
                rows.append([what, f"{ratio:.2f}", *verdict(ratio, most, at_most=True)])
    return rows
