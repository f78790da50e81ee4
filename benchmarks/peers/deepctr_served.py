"""DeepCTR, exported by Keras' own `export` and served by an array a column."""

from pathlib import Path

from benchmarks.latency_worker import Server
from benchmarks.peers.deepctr_models import DeepCTR
from benchmarks.peers.saved_model import Signature
from benchmarks.workload import Workload


class Exporter(DeepCTR):
    """The model, as its user exports it."""

    def serve(self, export: Path) -> Signature:
        """Writes it, and loads the signature that Keras gives it."""
        self._model.export(export, verbose=False)
        columns = {name: values[:, None] for name, values in self._columns.items()}  # (B, 1)
        return Signature(export, "serving_default", columns)


def make(work: Workload, folder: Path) -> Server:
    """The model behind its signature."""
    return Exporter(work, "mmoe").serve(folder / "deepctr")
