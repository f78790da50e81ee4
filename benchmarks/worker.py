"""A contender's process: builds, takes its first step, then trains whenever it is told to.

`python -m benchmarks.worker MODULE FOLDER OPTIONS` first replies with its start, then reads from
standard input, a line each, numbers of rows to train on. Replies are lines of JSON.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

from benchmarks.workload import Contender, Workload

PACKAGES = ("keras-mtl", "keras", "tensorflow", "deepctr", "torch", "numpy")


def main(module: str, folder: str, options: str) -> None:
    """Serves requests until standard input ends."""
    replies = _take_standard_output()
    work = Workload.read(Path(folder))
    make = importlib.import_module(f"benchmarks.peers.{module}").make
    started = time.perf_counter()
    contender = make(work, **json.loads(options))
    contender.train(min(work.sizes.batch_size, len(work)))
    first_step = time.perf_counter() - started
    _reply(
        replies,
        first_step=first_step,
        parameters=int(contender.parameters),
        versions=_versions(),
    )
    for line in sys.stdin:
        _reply(replies, **_times(contender, int(line)))


def _times(contender: Contender, rows: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    contender.train(rows)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def _take_standard_output() -> IO[str]:
    """Standard output for replies alone: what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _reply(replies: IO[str], **values: Any) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


def _versions() -> str:
    """Versions of the packages that this process has imported."""
    used = [name for name in PACKAGES if name.replace("-", "_") in sys.modules]
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in used)


if __name__ == "__main__":
    main(*sys.argv[1:])
