"""Who takes part, and the process each runs in."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Entry:
    """A contender: its name in tables, its file in `peers/`, the package it needs, its options."""

    name: str
    module: str
    package: str
    options: Mapping[str, Any] = field(default_factory=dict)


def _ours(name: str, **options: Any) -> Entry:
    return Entry(f"keras_mtl {name}", "keras_mtl_mmoe", "keras_mtl", options)


OURS_BEST = "keras_mtl XLA, 16 steps"
OURS_DEFAULT = "keras_mtl defaults"
DEEPCTR = "deepctr"
TORCH_LOOP = "torch loop"
LIMIT = "matrix products"

ENTRIES = (
    _ours("XLA, 16 steps", jit_compile=True, steps_per_execution=16),
    _ours("defaults"),
    _ours("16 steps", jit_compile=False, steps_per_execution=16),
    _ours("1 step", jit_compile=False, steps_per_execution=1),
    Entry(DEEPCTR, "deepctr_mmoe", "deepctr"),
    Entry(TORCH_LOOP, "torch_loop", "torch"),
    Entry(LIMIT, "matrix_products", "tensorflow"),
)


class LeftOutError(Exception):
    """A contender cannot take part, or ended; the message is a sentence for the user."""


class Process:
    """An entry's running process.

    Args:
        entry: the contender.
        pythons: interpreters by the package that they have; this one for the rest.
        folder: where the `Workload` was written; the process' messages are kept there, too.

    Raises:
        LeftOutError: if the package is not there.
    """

    def __init__(self, entry: Entry, pythons: Mapping[str, str], folder: Path) -> None:
        python = pythons.get(entry.package, sys.executable)
        _check_importable(entry, python)
        self.entry = entry
        self._log = folder / f"{entry.name}.log"
        command = [python, "-m", "benchmarks.worker", entry.module, str(folder)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, json.dumps(dict(entry.options))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
            )

    def start(self) -> dict[str, Any]:
        """Waits for the first step: `first_step` seconds, `parameters`, `versions`."""
        return self._read()

    def train(self, rows: int) -> dict[str, float]:
        """Has the first `rows` rows trained on once: `wall` and `cpu` seconds."""
        assert self._process.stdin is not None
        # A process that has ended says so when it is read from.
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{rows}\n")
            self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status, messages = self._process.wait(), self._log.read_text().split("\n")
            last = next((line for line in reversed(messages) if line.strip()), "no message")
            raise LeftOutError(f"{self.entry.name} ended with status {status}: {last}")
        return json.loads(line)

    def __enter__(self) -> "Process":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def reported() -> Iterator[None]:
    """Tells the user who does not take part, and goes on."""
    try:
        yield
    except LeftOutError as reason:
        print(f"Left out: {reason}", file=sys.stderr)


def _check_importable(entry: Entry, python: str) -> None:
    probe = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    try:
        found = subprocess.run([python, "-c", probe, entry.package], cwd=ROOT, check=False)
    except OSError as error:
        raise LeftOutError(
            f"{entry.name}, since {python} cannot be run: {error.strerror}"
        ) from None
    if found.returncode:
        raise LeftOutError(
            f"{entry.name}, since {python} has no package `{entry.package}`; "
            f"name a Python that has it with --peer-python {entry.package}=PATH"
        )
