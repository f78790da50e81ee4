"""The same work for every contender: encoded rows and sizes of the models; needs numpy alone."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

SIZES = "sizes.json"
ARRAYS = "rows.npz"


@dataclass(frozen=True)
class Sizes:
    """An MMoE and a PLE, and how they are trained."""

    batch_size: int = 1024
    embedding_dim: int = 8
    num_experts: int = 8
    levels: int = 2
    shared_experts: int = 2
    task_experts: int = 2
    expert_units: tuple[int, ...] = (128, 64)
    tower_units: tuple[int, ...] = (32,)
    seed: int = 0


@dataclass(frozen=True)
class Workload:
    """Encoded rows on disk, so that no contender's time holds the reading of raw text.

    Attributes:
        sizes: the models.
        vocabularies: number of ids of each categorical column.
        table: configuration of the fitted table, from which ours makes its embeddings.
        categorical: ids (B, F), int32.
        numeric: (B, N), float32.
        labels: (B,) by task, float32.
    """

    sizes: Sizes
    vocabularies: dict[str, int]
    table: dict[str, Any]
    categorical: np.ndarray
    numeric: np.ndarray
    labels: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.categorical)

    @property
    def width(self) -> int:
        """Width of a row's embeddings and numbers together."""
        return self.sizes.embedding_dim * self.categorical.shape[1] + self.numeric.shape[1]

    def write(self, folder: Path) -> None:
        """Writes what `read` reads."""
        described = {
            "sizes": asdict(self.sizes),
            "vocabularies": self.vocabularies,
            "table": self.table,
        }
        (folder / SIZES).write_text(json.dumps(described))
        arrays: dict[str, Any] = {f"label:{task}": v for task, v in self.labels.items()}
        arrays |= {"categorical": self.categorical, "numeric": self.numeric}
        np.savez(folder / ARRAYS, **arrays)

    @classmethod
    def read(cls, folder: Path) -> "Workload":
        """The workload of a folder."""
        described = json.loads((folder / SIZES).read_text())
        sizes: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in described["sizes"].items()
        }
        with np.load(folder / ARRAYS) as stored:
            arrays = dict(stored)
        labels = {k.removeprefix("label:"): v for k, v in arrays.items() if k.startswith("label:")}
        return cls(
            Sizes(**sizes),
            described["vocabularies"],
            described["table"],
            arrays["categorical"],
            arrays["numeric"],
            labels,
        )


class Contender(Protocol):
    """A model that is ready to train."""

    parameters: int
    """Number of trained weights: equal models have nearly equal numbers.

    A contender that is no model also has `flops`, the operations of one of its rows.
    """

    def train(self, rows: int) -> None:
        """Trains once on the first `rows` rows."""
