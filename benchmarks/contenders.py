"""Who takes part, and the process each runs in."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


MODELS = ("mmoe", "ple")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Entry:
    """A contender.

    Attributes:
        name: what tables call it; the same for each of its models.
        module: its file in `peers/`.
        package: which of the interpreters that the user names runs it.
        options: arguments of the module's `make`.
        needs: the package that has to be there; the same as `package` unless given.
        backends: Keras backends under which it can take part; empty for all.
        precisions: what it can compute in.
        benchmarks: where it takes part.
        worker: the module that its process runs: what can be asked of it.
    """

    name: str
    module: str
    package: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""
    backends: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float32",)
    benchmarks: tuple[str, ...] = ("training", "startup")
    worker: str = "benchmarks.worker"

    @property
    def model(self) -> str:
        """The model that it trains."""
        return str(self.options.get("model", "mmoe"))

    def in_precision(self, precision: str) -> "Entry":
        """The same contender, told what to compute in unless that is float32."""
        if precision == "float32":
            return self
        return replace(self, options={**self.options, "precision": precision})


def _ours(name: str, **options: Any) -> Entry:
    return Entry(
        f"keras_mtl {name}", "keras_mtl_models", "keras_mtl", options, precisions=PRECISIONS
    )


OURS_BEST = "keras_mtl XLA, 16 steps"
OURS_DEFAULT = "keras_mtl defaults"
DEEPCTR = "deepctr"
DEEPCTR_16 = "deepctr, 16 steps"
RECHUB_TRAINER = "torch-rechub trainer"
RECHUB_LOOP = "torch-rechub loop"
LIBMTL = "libmtl loop"
TORCH_LOOP = "torch loop"
LIMIT = "matrix products"
RATE = "matrix rate"


def _of_model(model: str) -> list[Entry]:
    """Who trains `model`."""
    on_tensorflow: dict[str, Any] = {"backends": ("tensorflow",)}
    in_both: dict[str, Any] = {"precisions": PRECISIONS, "benchmarks": ("training",)}
    deepctr, rechub = ("deepctr_models", "deepctr"), ("torch_rechub_models", "torch")
    options = {"model": model}
    entries = [
        _ours("XLA, 16 steps", model=model, jit_compile=True, steps_per_execution=16),
        _ours("defaults", model=model),
        Entry(DEEPCTR, *deepctr, options, **on_tensorflow),
        Entry(DEEPCTR_16, *deepctr, options | {"steps_per_execution": 16}, **on_tensorflow),
        Entry(RECHUB_TRAINER, *rechub, options | {"trainer": True}, "torch_rechub"),
        Entry(RECHUB_LOOP, *rechub, options | {"trainer": False}, "torch_rechub"),
        Entry(TORCH_LOOP, "torch_loop", "torch", options),
        Entry(LIMIT, "matrix_products", "tensorflow", options, **on_tensorflow, **in_both),
        Entry(RATE, "matrix_rate", "keras", options, **in_both),
    ]
    if model == "mmoe":
        entries.insert(-3, Entry(LIBMTL, "libmtl_mmoe", "torch", options, "LibMTL"))
    return entries


def _many_tasks(model: str, tasks: int) -> Entry:
    return Entry(
        f"keras_mtl, {tasks} tasks",
        "keras_mtl_many_tasks",
        "keras_mtl",
        {"model": model, "tasks": tasks},
        precisions=PRECISIONS,
        benchmarks=("startup",),
    )


def _server(name: str, module: str, package: str, needs: str = "", **options: Any) -> Entry:
    return Entry(
        *(name, module, package, options, needs),
        backends=("tensorflow",),  # which writes all of the exports
        benchmarks=("latency",),
        worker="benchmarks.latency_worker",
    )


SERVED_PACKED = "keras_mtl packed"
SERVED_RAW = "keras_mtl raw columns"
SERVED_DEEPCTR = "deepctr export"
SERVED_RECHUB = "torch-rechub call"

RECHUB_SERVED = ("torch_rechub_served", "torch", "torch_rechub")

SERVERS = (
    _server(SERVED_PACKED, "keras_mtl_served", "keras_mtl", signature="packed"),
    _server(SERVED_RAW, "keras_mtl_served", "keras_mtl", signature="serving_default"),
    _server(SERVED_DEEPCTR, "deepctr_served", "deepctr"),
    _server(SERVED_RECHUB, *RECHUB_SERVED, trainer=False),
    _server("torch-rechub predict", *RECHUB_SERVED, trainer=True),
)

MANY_TASKS = (("mmoe", 64), ("ple", 64), ("shared_bottom", 617))

SCALED = tuple(
    replace(entry, backends=(), benchmarks=("scaling",))
    for entry in _of_model("mmoe")
    if entry.name in (OURS_BEST, OURS_DEFAULT, LIMIT)
)

DENSE, DENSE_XLA = "dense FFN", "dense FFN, XLA"
SWITCH, SWITCH_XLA = "SwitchFFN", "SwitchFFN, XLA"
# TensorFlow's random numbers take a hundred times as long under XLA on a CPU.
SWITCH_CALM, SWITCH_CALM_XLA = "SwitchFFN, no jitter", "SwitchFFN, no jitter, XLA"
MOE, MOE_XLA = "MoE, dropless", "MoE, dropless, XLA"
MOE_CAPACITY, MOE_CAPACITY_XLA = "MoE, capacity", "MoE, capacity, XLA"
ALONE, ALONE_XLA = "experts alone", "experts alone, XLA"
GATHER, GATHER_XLA = "there and back, gather", "there and back, gather, XLA"
SCATTER, SCATTER_XLA = "there and back, scatter", "there and back, scatter, XLA"
HF_SWITCH = "transformers Switch"
WEIGHT_UPDATE = "weight update"

CAPACITY_FACTOR = 1.25


def _feed_forward(names: tuple[str, str], model: str, **options: Any) -> list[Entry]:
    """A layer in both ways: XLA is the only one of JAX."""
    return [
        Entry(
            *(name, "feed_forward", "keras_mtl", {"model": model, "jit_compile": xla, **options}),
            backends=() if xla else ("tensorflow",),
            precisions=PRECISIONS,
            benchmarks=("sparse",),
        )
        for name, xla in zip(names, (False, True), strict=True)
    ]


_OF_CAPACITY = {"capacity_factor": CAPACITY_FACTOR}

FEED_FORWARD = (
    *_feed_forward((DENSE, DENSE_XLA), "dense"),
    *_feed_forward((SWITCH, SWITCH_XLA), "switch", **_OF_CAPACITY),
    *_feed_forward((SWITCH_CALM, SWITCH_CALM_XLA), "switch", jitter=0.0, **_OF_CAPACITY),
    *_feed_forward((MOE, MOE_XLA), "moe"),
    *_feed_forward((MOE_CAPACITY, MOE_CAPACITY_XLA), "moe", **_OF_CAPACITY),
    *_feed_forward((ALONE, ALONE_XLA), "experts_alone", **_OF_CAPACITY),
    *_feed_forward((GATHER, GATHER_XLA), "there_and_back", scatter=False, **_OF_CAPACITY),
    *_feed_forward((SCATTER, SCATTER_XLA), "there_and_back", scatter=True, **_OF_CAPACITY),
    Entry(
        *(HF_SWITCH, "hf_switch", "torch", {"model": "switch", **_OF_CAPACITY}, "transformers"),
        benchmarks=("sparse",),
    ),
    Entry(
        *(WEIGHT_UPDATE, "weight_update", "keras", {"model": "update"}),
        precisions=PRECISIONS,
        benchmarks=("sparse",),
    ),
)

ENTRIES = (
    *(entry for model in MODELS for entry in _of_model(model)),
    *(_many_tasks(model, tasks) for model, tasks in MANY_TASKS),
    *SERVERS,
    *SCALED,
    *FEED_FORWARD,
)


# Processes that wait for their turn leave a GPU's memory to the others.
QUIET_AND_SHARING = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


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
        self._started = time.perf_counter()
        self.entry = entry
        self._log = folder / f"{entry.name}.log"
        command = [python, "-m", entry.worker, entry.module, str(folder)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, json.dumps(dict(entry.options))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env=QUIET_AND_SHARING | os.environ,
            )

    def start(self) -> dict[str, Any]:
        """Waits for the first step, and tells about the contender.

        Returns:
            `first_step`, seconds from the end of the imports, and `since_start`, from the start of
            the process; `parameters`, `versions`, `device`, and `flops` of a row where its own.
        """
        return self._read() | {"since_start": time.perf_counter() - self._started}

    def train(self, rows: int) -> dict[str, float]:
        """Trains once on the first `rows` rows: `wall` and `cpu` seconds, `peak_mib` so far."""
        return self.ask(rows)

    def ask(self, *numbers: int) -> dict[str, Any]:
        """Sends a line of numbers to the worker: its reply."""
        assert self._process.stdin is not None
        # A process that has ended says so when it is read from.
        with suppress(BrokenPipeError):
            self._process.stdin.write(" ".join(map(str, numbers)) + "\n")
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


def taking_part(entries: Iterable[Entry], backend: str, precision: str) -> list[Entry]:
    """Who can compute under a Keras backend in a precision; tells the user who cannot."""
    able = []
    for entry in entries:
        with reported():
            if entry.backends and backend not in entry.backends:
                raise LeftOutError(
                    f"{entry.name} ({entry.model}) needs {' or '.join(entry.backends)}, and the "
                    f"Keras backend is {backend}"
                )
            if precision not in entry.precisions:
                raise LeftOutError(
                    f"{entry.name} ({entry.model}) is measured in {', '.join(entry.precisions)}, "
                    f"not in {precision}"
                )
            able.append(entry.in_precision(precision))
    return able


@contextmanager
def reported() -> Iterator[None]:
    """Tells the user who does not take part, and goes on."""
    try:
        yield
    except LeftOutError as reason:
        print(f"Left out: {reason}", file=sys.stderr)


def _check_importable(entry: Entry, python: str) -> None:
    probe = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"
    needed = entry.needs or entry.package
    try:
        found = subprocess.run([python, "-c", probe, needed], cwd=ROOT, check=False)
    except OSError as error:
        raise LeftOutError(
            f"{entry.name}, since {python} cannot be run: {error.strerror}"
        ) from None
    if found.returncode:
        raise LeftOutError(
            f"{entry.name}, since {python} has no package `{needed}`; "
            f"name a Python that has it with --peer-python {entry.package}=PATH"
        )
