"""A bare PyTorch loop: plain modules, Adam, batches by index tensors."""

from itertools import pairwise

import torch
from torch import nn

from benchmarks.workload import Contender, Sizes, Workload


class MMoE(nn.Module):
    """An embedding a column, a list of experts, a gate and a tower a task."""

    def __init__(self, vocabularies: list[int], numbers: int, tasks: int, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.embedding_dim * len(vocabularies) + numbers
        self.embeddings = nn.ModuleList(nn.Embedding(n, sizes.embedding_dim) for n in vocabularies)
        self.experts = nn.ModuleList(
            perceptron((width, *sizes.expert_units)) for _ in range(sizes.num_experts)
        )
        self.gates = nn.ModuleList(
            nn.Linear(width, sizes.num_experts, bias=False) for _ in range(tasks)
        )
        tower = (sizes.expert_units[-1], *sizes.tower_units)
        self.towers = nn.ModuleList(
            nn.Sequential(perceptron(tower), nn.Linear(tower[-1], 1)) for _ in range(tasks)
        )

    def forward(self, ids: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        """Logits (B, T)."""
        vectors = [embedding(ids[:, f]) for f, embedding in enumerate(self.embeddings)]
        x = torch.cat([*vectors, numeric], dim=1)  # (B, D)
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)  # (B, E, U)
        logits = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            weights = torch.softmax(gate(x), dim=1)  # (B, E)
            mixture = (weights.unsqueeze(2) * experts).sum(dim=1)  # (B, U)
            logits.append(tower(mixture))
        return torch.cat(logits, dim=1)  # (B, T)


def perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear maps, each with a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class TorchLoop:
    """A model, its optimizer and all rows as tensors."""

    def __init__(self, work: Workload) -> None:
        torch.manual_seed(work.sizes.seed)
        self._batch_size = work.sizes.batch_size
        self._ids = torch.as_tensor(work.categorical).long()
        self._numeric = torch.as_tensor(work.numeric)
        columns = [torch.as_tensor(values) for values in work.labels.values()]
        self._labels = torch.stack(columns, dim=1)  # (B, T)
        vocabularies = list(work.vocabularies.values())
        self._model = MMoE(vocabularies, work.numeric.shape[1], len(work.labels), work.sizes)
        self._optimizer = torch.optim.Adam(self._model.parameters())
        self._loss = nn.BCEWithLogitsLoss()
        self.parameters = sum(weight.numel() for weight in self._model.parameters())

    def train(self, rows: int) -> None:
        """One pass over the first rows, shuffled."""
        self._model.train()
        for batch in torch.randperm(rows).split(self._batch_size):
            logits = self._model(self._ids[batch], self._numeric[batch])
            loss = self._loss(logits, self._labels[batch])
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()


def make(work: Workload) -> Contender:
    """The model, ready to train."""
    return TorchLoop(work)
