"""What every benchmark is given, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Entry
from benchmarks.figures import Figure
from benchmarks.workload import Workload
from keras_mtl.datasets.dataset import Split


@dataclass(frozen=True)
class Setting:
    """The data, the contenders and how often to measure.

    Attributes:
        split: raw rows.
        work: the same rows encoded, also written to `folder`.
        folder: where the contenders' processes read them.
        entries: who takes part.
        pythons: interpreters by the package that they have.
        rounds: epochs, starts or passes of each.
    """

    split: Split
    work: Workload
    folder: Path
    entries: Sequence[Entry]
    pythons: Mapping[str, str]
    rounds: int

    def of(self, benchmark: str) -> list[Entry]:
        """Who takes part in one benchmark."""
        return [entry for entry in self.entries if benchmark in entry.benchmarks]


@dataclass(frozen=True)
class Result:
    """Figures for the CSV, and the table that is printed."""

    figures: list[Figure]
    table: str
