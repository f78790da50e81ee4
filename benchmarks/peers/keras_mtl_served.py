"""Ours, exported and served: by packed tensors, or by the raw columns."""

from pathlib import Path

import numpy as np

from benchmarks.latency_worker import Server
from benchmarks.peers.keras_mtl_models import KerasMtl
from benchmarks.peers.saved_model import Signature
from benchmarks.raw_rows import RawRows
from benchmarks.workload import Workload


class Exporter(KerasMtl):
    """The model, as its user exports it."""

    def export(self, folder: Path) -> None:
        """Writes it once."""
        self._model.export(folder, verbose=False)


def make(work: Workload, folder: Path, signature: str) -> Server:
    """The model behind one of its signatures."""
    export = folder / f"keras_mtl {signature}"
    Exporter(work, "mmoe").export(export)
    columns: dict[str, np.ndarray] = {"categorical": work.categorical, "numeric": work.numeric}
    if signature != "packed":
        columns = RawRows.read(folder).columns
    return Signature(export, signature, columns)
