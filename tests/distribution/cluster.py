"""Clusters of worker processes on this machine, which end whatever happens."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def started(command: Sequence[str], folder: Path, num_workers: int = 2) -> Iterator["Cluster"]:
    """Workers of one cluster, each a process group of its own that is killed at the end.

    Args:
        command: what every worker runs with this Python.
        folder: where they work: worker 1 in `1`, printing into `1.log`.
        num_workers: number of processes.
    """
    addresses = [f"localhost:{port}" for port in _free_ports(num_workers)]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(num_workers):
            workers.append(_start(command, folder, addresses, index))
        yield Cluster(workers, folder)
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


class Cluster:
    """The workers of a cluster, in the order of their index."""

    def __init__(self, workers: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
        self.workers = workers
        self._folder = folder

    def wait(self, timeout: float) -> list[int]:
        """Exit codes of all workers; fails with what they printed if one takes too long."""
        end = time.monotonic() + timeout
        try:
            return [worker.wait(end - time.monotonic()) for worker in self.workers]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{timeout} s are over.\n{self.printed()}") from None

    def succeed(self, timeout: float) -> None:
        """Waits until all workers have ended well."""
        assert self.wait(timeout) == [0] * len(self.workers), self.printed()

    def printed(self) -> str:
        """The end of what every worker printed."""
        return "\n".join(self.log(index)[-3000:] for index in range(len(self.workers)))

    def log(self, index: int) -> str:
        """All that a worker printed."""
        return (self._folder / f"{index}.log").read_text()


def _start(
    command: Sequence[str], folder: Path, addresses: list[str], index: int
) -> subprocess.Popen[bytes]:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    settings = {
        "TF_CONFIG": json.dumps(cluster),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    (folder / f"{index}").mkdir(exist_ok=True)
    with open(folder / f"{index}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=folder / f"{index}",
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
            start_new_session=True,
        )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        # Bound at the same time, so that no port is drawn twice.
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
