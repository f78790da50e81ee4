"""A contender's process: builds, takes its first step, then trains whenever it is told to.

`python -m benchmarks.worker MODULE FOLDER OPTIONS` first replies with its start, then reads from
standard input, a line each, numbers of rows to train on. Replies are lines of JSON.
"""

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import IO, Any

from benchmarks.workload import Contender, Workload

PACKAGES = (
    *("keras-mtl", "keras", "tensorflow", "jax", "deepctr"),
    *("torch", "torch-rechub", "LibMTL", "transformers", "numpy"),
)

MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in one of `ru_maxrss`


def main(module: str, folder: str, options: str) -> None:
    """Serves requests until standard input ends."""
    replies = take_standard_output()
    work = Workload.read(Path(folder))
    make = importlib.import_module(f"benchmarks.peers.{module}").make
    started = time.perf_counter()
    contender = make(work, **json.loads(options))
    contender.train(min(work.sizes.batch_size, len(work)))
    first_step = time.perf_counter() - started
    reply(
        replies,
        first_step=first_step,
        parameters=int(contender.parameters),
        versions=versions(),
        device=device(),
        flops=getattr(contender, "flops", None),
    )
    for line in sys.stdin:
        reply(replies, **_cost(contender, int(line)))


def _cost(contender: Contender, rows: int) -> dict[str, float]:
    """Seconds of one pass, and the peak of the process' memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    contender.train(rows)
    seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MEMORY_UNIT
    return {**seconds, "peak_mib": peak / 2**20}


def take_standard_output() -> IO[str]:
    """Standard output for replies alone: what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def reply(replies: IO[str], **values: Any) -> None:
    replies.write(json.dumps(values) + "\n")
    replies.flush()


def versions() -> str:
    """Versions of the packages that this process has imported."""
    used = [name for name in PACKAGES if name.replace("-", "_") in sys.modules]
    if "jax" in used and os.environ.get("KERAS_BACKEND") != "jax":
        used.remove("jax")  # TensorFlow's Keras looks at it, too
    return " ".join(f"{name}=={importlib.metadata.version(name)}" for name in used)


def device() -> str:
    """What this process computes on: the name of its GPU, or "cpu"."""
    if torch := sys.modules.get("torch"):
        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    if os.environ.get("KERAS_BACKEND") == "jax":
        device = sys.modules["jax"].devices()[0]
        return "cpu" if device.platform == "cpu" else device.device_kind
    if tensorflow := sys.modules.get("tensorflow"):
        for gpu in tensorflow.config.list_physical_devices("GPU"):
            details = tensorflow.config.experimental.get_device_details(gpu)
            return details.get("device_name", "gpu")
    return "cpu"


if __name__ == "__main__":
    main(*sys.argv[1:])
