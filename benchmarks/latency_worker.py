"""A server's process: builds and exports its model, then answers whenever it is told to.

`python -m benchmarks.latency_worker MODULE FOLDER OPTIONS` first replies with its versions. Then it
reads lines of two numbers, rows in a request and requests to time, and replies with the seconds of
each request.
"""

import importlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.worker import reply, take_standard_output, versions
from benchmarks.workload import Workload

DIFFERENT = 8  # requests, so that no cache holds the one that is asked for
AT_LEAST, ENOUGH_SECONDS = 10, 3.0
"""A slow server answers fewer requests, but at least so many."""


class Server(Protocol):
    """A loaded model."""

    def request(self, rows: slice) -> Any:
        """Some rows as the model takes them."""

    def answer(self, request: Any) -> Sequence[np.ndarray]:
        """The predictions: an array (B, 1) a task, or all in one."""


def main(module: str, folder: str, options: str) -> None:
    """Serves requests until standard input ends."""
    replies = take_standard_output()
    work = Workload.read(Path(folder))
    make = importlib.import_module(f"benchmarks.peers.{module}").make
    server = make(work, Path(folder), **json.loads(options))
    reply(replies, versions=versions())
    for line in sys.stdin:
        rows, requests = map(int, line.split())
        reply(replies, seconds=answer_times(server, len(work), rows, requests))


def answer_times(server: Server, available: int, rows: int, requests: int) -> list[float]:
    """Seconds that each of at most so many requests takes, after others to warm up.

    Raises:
        ValueError: If the server answers with other than a finite prediction a row.
    """
    starts = [min(k * rows, available - rows) for k in range(DIFFERENT)]
    ready = [server.request(slice(start, start + rows)) for start in starts]
    for request in ready:
        check_answer(server.answer(request), rows)
    seconds: list[float] = []
    while len(seconds) < requests and (len(seconds) < AT_LEAST or sum(seconds) < ENOUGH_SECONDS):
        request = ready[len(seconds) % DIFFERENT]
        started = time.perf_counter()
        server.answer(request)
        seconds.append(time.perf_counter() - started)
    return seconds


def check_answer(predictions: Sequence[np.ndarray], rows: int) -> None:
    """Raises `ValueError` unless there are finite predictions, one a row and task."""
    if not all(len(array) == rows and np.isfinite(array).all() for array in predictions):
        shapes = [np.shape(array) for array in predictions]
        raise ValueError(
            f"An answer must hold a finite prediction for each of {rows} rows. Received: {shapes}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
