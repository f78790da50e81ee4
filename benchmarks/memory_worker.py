"""What a training step needs beside the weights, in a process of its own.

`python -m benchmarks.memory_worker MODULE FOLDER OPTIONS` replies once: MiB of a step, and of one
with fixed kernels, which has no gradients of the weights' size: what is left are activations.
"""

import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.worker import reply, take_standard_output
from benchmarks.workload import Workload


def main(module: str, folder: str, options: str) -> None:
    """Measures both, and replies."""
    # TensorFlow counts the memory of a CPU with oneDNN alone, which it uses on some by default.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    replies = take_standard_output()
    work = Workload.read(Path(folder))
    make = importlib.import_module(f"benchmarks.peers.{module}").make
    step, activations = (
        make(work, **json.loads(options), fixed_kernels=fixed).step_bytes() / 2**20
        for fixed in (False, True)
    )
    reply(replies, step=step, activations=activations)


if __name__ == "__main__":
    main(*sys.argv[1:])
