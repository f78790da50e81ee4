"""Measured numbers, and the CSV that keeps them with where they come from."""

import csv
import io
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from keras_mtl.study.folders import write_text


@dataclass(frozen=True)
class Figure:
    """One number of one contender.

    Attributes:
        benchmark: what was measured.
        contender: who.
        measure: which of its numbers.
        value: the number.
        unit: its unit.
        versions: versions of the packages that took part, such as `keras==3.15.1 numpy==2.4.6`.
        model: the model that was trained or served.
        device: name of the GPU, or "cpu".
    """

    benchmark: str
    contender: str
    measure: str
    value: float
    unit: str
    versions: str = ""
    model: str = ""
    device: str = ""


@dataclass(frozen=True)
class Origin:
    """What every number of a run has in common."""

    date: str
    seed: int
    data: str
    rows: int
    rounds: int
    cpu: str
    cores: int
    python: str
    backend: str = "tensorflow"
    precision: str = "float32"

    @classmethod
    def here(
        cls,
        seed: int,
        data: str,
        rows: int,
        rounds: int,
        backend: str = "tensorflow",
        precision: str = "float32",
    ) -> "Origin":
        """This machine, now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        machine = (cpu_model(), cores or 1, platform.python_version())
        return cls(now, seed, data, rows, rounds, *machine, backend, precision)


def cpu_model() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def append_csv(path: Path, figures: Sequence[Figure], origin: Origin) -> None:
    """Adds a run's figures below those of earlier runs.

    Raises:
        ValueError: If the file has other columns.
    """
    columns = [field.name for kind in (Origin, Figure) for field in fields(kind)]
    text = path.read_text() if path.exists() else ",".join(columns) + "\n"
    if text.splitlines()[0].split(",") != columns:
        raise ValueError(
            f"File `{path}` must have the columns {', '.join(columns)}. "
            f"Received: {text.splitlines()[0]}"
        )
    added = io.StringIO()
    writer = csv.DictWriter(added, columns, lineterminator="\n")
    writer.writerows(asdict(origin) | asdict(figure) for figure in figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text + added.getvalue())
