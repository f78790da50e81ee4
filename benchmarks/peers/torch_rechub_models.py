"""torch-rechub's MMOE and PLE, trained by its own `MTLTrainer` or by a bare loop."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.multi_task import MMOE, PLE
from torch_rechub.trainers import MTLTrainer
from torch_rechub.utils.data import DataGenerator

from benchmarks.peers.torch_training import DEVICE, Loop
from benchmarks.workload import Contender, Workload


class ByName(nn.Module):
    """A model of torch-rechub on packed columns, which a bare loop gathers at once."""

    def __init__(self, work: Workload, model: nn.Module) -> None:
        super().__init__()
        self.categories, self.numbers = list(work.vocabularies), number_names(work)
        self.model = model

    def forward(self, ids: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        """Probabilities (B, T)."""
        columns = dict(zip(self.categories, ids.unbind(1), strict=True))
        return self.model(columns | dict(zip(self.numbers, numeric.unbind(1), strict=True)))


class Trainer:
    """Its trainer and its data loader on an array a column, as its examples have it."""

    def __init__(self, work: Workload, model: nn.Module) -> None:
        self._batch_size = work.sizes.batch_size
        columns = {name: work.categorical[:, f] for f, name in enumerate(work.vocabularies)}
        columns |= {name: work.numeric[:, n] for n, name in enumerate(number_names(work))}
        self._columns = {name: np.ascontiguousarray(values) for name, values in columns.items()}
        self._labels = np.stack(list(work.labels.values()), axis=1)  # (B, T)
        self._trainer = MTLTrainer(
            model,
            task_types(work),
            optimizer_params={"lr": 1e-3},  # without the weight decay that the others do not have
            device=str(DEVICE),
        )
        self.parameters = sum(weight.numel() for weight in model.parameters())

    def train(self, rows: int) -> None:
        """One of its epochs over the first rows; its loader shuffles them."""
        columns = {name: values[:rows] for name, values in self._columns.items()}
        generator = DataGenerator(columns, self._labels[:rows])
        first = {name: values[:1] for name, values in columns.items()}
        loader, *_ = generator.generate_dataloader(
            first, self._labels[:1], first, self._labels[:1], batch_size=self._batch_size
        )
        self._trainer.train_one_epoch(loader)


def new_model(work: Workload, model: str) -> nn.Module:
    """Its MMOE or PLE in our sizes; batch normalisation cannot be switched off."""
    sizes = work.sizes
    features: list[Any] = [
        SparseFeature(name, vocab_size=size, embed_dim=sizes.embedding_dim)
        for name, size in work.vocabularies.items()
    ]
    features += [DenseFeature(name) for name in number_names(work)]
    common = {
        "expert_params": {"dims": list(sizes.expert_units)},
        "tower_params_list": [{"dims": list(sizes.tower_units)} for _ in work.labels],
    }
    if model == "mmoe":
        return MMOE(features, task_types(work), sizes.num_experts, **common)
    return PLE(
        features,
        task_types(work),
        n_level=sizes.levels,
        n_expert_specific=sizes.task_experts,
        n_expert_shared=sizes.shared_experts,
        **common,
    )


def task_types(work: Workload) -> list[str]:
    """What its models and its trainer call binary tasks."""
    return ["classification"] * len(work.labels)


def number_names(work: Workload) -> list[str]:
    """A name for every number."""
    return [f"number_{n}" for n in range(work.numeric.shape[1])]


def make(work: Workload, model: str, trainer: bool) -> Contender:
    """The model, ready to train."""
    torch.manual_seed(work.sizes.seed)
    if trainer:
        return Trainer(work, new_model(work, model))
    return Loop(work, ByName(work, new_model(work, model)), nn.BCELoss())
