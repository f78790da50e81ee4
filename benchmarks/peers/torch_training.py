"""What the bare PyTorch loops share: rows as tensors, Adam, shuffled batches by index tensors."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.workload import Workload

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Loop:
    """A model, its optimizer and all rows as tensors.

    Args:
        work: rows and sizes.
        model: called on ids (B, F) and numbers (B, N).
        loss: the losses of a batch, from the model's outputs and the labels (B, T).
        backward: what computes the gradients from these losses.
    """

    def __init__(
        self,
        work: Workload,
        model: nn.Module,
        loss: Callable[[Any, torch.Tensor], torch.Tensor],
        backward: Callable[[torch.Tensor], Any] = torch.Tensor.backward,
    ) -> None:
        self._batch_size = work.sizes.batch_size
        self._ids = torch.as_tensor(work.categorical).long().to(DEVICE)
        self._numeric = torch.as_tensor(work.numeric).to(DEVICE)
        columns = [torch.as_tensor(values) for values in work.labels.values()]
        self._labels = torch.stack(columns, dim=1).to(DEVICE)  # (B, T)
        self._model = model.to(DEVICE)
        self._optimizer = torch.optim.Adam(self._model.parameters())
        self._loss, self._backward = loss, backward
        self.parameters = sum(weight.numel() for weight in self._model.parameters())

    def train(self, rows: int) -> None:
        """One pass over the first rows, shuffled."""
        self._model.train()
        for batch in torch.randperm(rows, device=DEVICE).split(self._batch_size):
            losses = self._loss(
                self._model(self._ids[batch], self._numeric[batch]), self._labels[batch]
            )
            self._optimizer.zero_grad()
            self._backward(losses)
            self._optimizer.step()
        losses.sum().item()  # waits for a GPU


class Embeddings(nn.Module):
    """An embedding a column, next to the numbers."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        dim = work.sizes.embedding_dim
        self.columns = nn.ModuleList(nn.Embedding(n, dim) for n in work.vocabularies.values())

    def forward(self, ids: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        """One vector (B, D) a row."""
        vectors = [column(ids[:, f]) for f, column in enumerate(self.columns)]
        return torch.cat([*vectors, numeric], dim=1)  # (B, D)


def perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    """Linear maps, each with a ReLU."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


def tower(work: Workload) -> nn.Sequential:
    """A task's tower, from the experts' width to the logit."""
    widths = (work.sizes.expert_units[-1], *work.sizes.tower_units)
    return nn.Sequential(perceptron(widths), nn.Linear(widths[-1], 1))
