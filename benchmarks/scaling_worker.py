"""A contender's process that also tells its memory.

`python -m benchmarks.scaling_worker MODULE FOLDER OPTIONS` builds, takes a step and replies
with its start. Then it reads numbers of rows to train on, and replies with the seconds and with the
peak of its memory so far.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.worker import reply, take_standard_output, versions
from benchmarks.workload import Workload

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one of `ru_maxrss`


def main(module: str, folder: str, options: str) -> None:
    """Serves requests until standard input ends."""
    replies = take_standard_output()
    work = Workload.read(Path(folder))
    make = importlib.import_module(f"benchmarks.peers.{module}").make
    started = time.perf_counter()
    contender = make(work, **json.loads(options))
    contender.train(work.sizes.batch_size)
    first_step = time.perf_counter() - started
    reply(replies, first_step=first_step, versions=versions())
    for line in sys.stdin:
        started = time.perf_counter()
        contender.train(int(line))
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT
        reply(replies, seconds=seconds, peak_mib=peak / 2**20)


if __name__ == "__main__":
    main(*sys.argv[1:])
