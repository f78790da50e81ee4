"""torch-rechub in eval mode: its trainer's `predict`, or a bare call of its model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch_rechub.trainers import MTLTrainer
from torch_rechub.utils.data import PredictDataset

from benchmarks.latency_worker import Server
from benchmarks.peers.torch_rechub_models import new_model, number_names, task_types
from benchmarks.workload import Workload


class Called:
    """The model called on tensors that are ready, under `inference_mode`."""

    def __init__(self, work: Workload) -> None:
        self.model = new_model(work, "mmoe").eval()
        self._columns = {name: work.categorical[:, f] for f, name in enumerate(work.vocabularies)}
        self._columns |= {name: work.numeric[:, n] for n, name in enumerate(number_names(work))}

    def arrays(self, rows: slice) -> dict[str, np.ndarray]:
        """Each column's own array."""
        return {name: values[rows].copy() for name, values in self._columns.items()}

    def request(self, rows: slice) -> Any:
        """A tensor a column."""
        return {name: torch.from_numpy(values) for name, values in self.arrays(rows).items()}

    def answer(self, request: Any) -> Sequence[np.ndarray]:
        """Probabilities (B, T)."""
        with torch.inference_mode():
            return [self.model(request).numpy()]


class Predicted(Called):
    """What its users call: the trainer's `predict` on a data loader, which is ready, too."""

    def __init__(self, work: Workload) -> None:
        super().__init__(work)
        self._trainer = MTLTrainer(self.model, task_types(work), device="cpu")

    def request(self, rows: slice) -> Any:
        """A loader of one batch."""
        dataset = PredictDataset(self.arrays(rows))
        return DataLoader(dataset, batch_size=len(dataset))

    def answer(self, request: Any) -> Sequence[np.ndarray]:
        """Probabilities (B, T)."""
        return [np.array(self._trainer.predict(self.model, request))]


def make(work: Workload, folder: Path, trainer: bool) -> Server:
    """The model, ready to answer; no file is written, so `folder` is not used."""
    torch.manual_seed(work.sizes.seed)
    return Predicted(work) if trainer else Called(work)
