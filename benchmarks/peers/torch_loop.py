"""MMoE and PLE in plain PyTorch modules, trained by a bare loop."""

import torch
from torch import nn

from benchmarks.peers.torch_training import Embeddings, Loop, perceptron, tower
from benchmarks.workload import Contender, Workload


class Mixture(nn.Module):
    """A linear softmax gate over experts."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, experts, bias=False)

    def forward(self, x: torch.Tensor, experts: list[torch.Tensor]) -> torch.Tensor:
        """The mixture (B, U) of the experts' outputs."""
        weights = torch.softmax(self.gate(x), dim=1)  # (B, E)
        return (weights.unsqueeze(2) * torch.stack(experts, dim=1)).sum(dim=1)  # (B, U)


class MMoE(nn.Module):
    """A list of experts, and a gate a task."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        sizes = work.sizes
        widths = (work.width, *sizes.expert_units)
        self.experts = nn.ModuleList(perceptron(widths) for _ in range(sizes.num_experts))
        self.mixtures = nn.ModuleList(Mixture(work.width, sizes.num_experts) for _ in work.labels)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """A mixture (B, U) a task."""
        experts = [expert(x) for expert in self.experts]
        return [mixture(x, experts) for mixture in self.mixtures]


class Level(nn.Module):
    """A level of PLE: experts of each task and shared ones, the shared slot last."""

    def __init__(self, work: Workload, width: int, last: bool) -> None:
        super().__init__()
        sizes, tasks = work.sizes, len(work.labels)
        counts = [sizes.task_experts] * tasks + [sizes.shared_experts]
        self.experts = nn.ModuleList(
            nn.ModuleList(perceptron((width, *sizes.expert_units)) for _ in range(count))
            for count in counts
        )
        seen = [sizes.task_experts + sizes.shared_experts] * tasks
        self.mixtures = nn.ModuleList(
            Mixture(width, count) for count in (seen if last else [*seen, sum(counts)])
        )

    def forward(self, slots: list[torch.Tensor]) -> list[torch.Tensor]:
        """A mixture (B, U) a task, and of all experts unless it is the last level."""
        outputs = [
            [expert(x) for expert in own] for own, x in zip(self.experts, slots, strict=True)
        ]
        *own, shared = outputs
        seen = [[*experts, *shared] for experts in own] + [[e for slot in outputs for e in slot]]
        triples = zip(self.mixtures, slots, seen, strict=False)  # no shared gate at the last level
        return [mixture(x, experts) for mixture, x, experts in triples]


class PLE(nn.Module):
    """Levels, the first of which reads the row in every slot."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        levels, units = work.sizes.levels, work.sizes.expert_units[-1]
        self.slots = len(work.labels) + 1
        self.levels = nn.ModuleList(
            Level(work, units if level else work.width, last=level == levels - 1)
            for level in range(levels)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """A mixture (B, U) a task."""
        slots = [x] * self.slots
        for level in self.levels:
            slots = level(slots)
        return slots


class Network(nn.Module):
    """Embeddings, the shared part, a tower a task."""

    def __init__(self, work: Workload, model: str) -> None:
        super().__init__()
        self.embeddings = Embeddings(work)
        self.shared = MMoE(work) if model == "mmoe" else PLE(work)
        self.towers = nn.ModuleList(tower(work) for _ in work.labels)

    def forward(self, ids: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        """Logits (B, T)."""
        mixtures = self.shared(self.embeddings(ids, numeric))
        pairs = zip(self.towers, mixtures, strict=True)
        return torch.cat([tower(mixture) for tower, mixture in pairs], dim=1)  # (B, T)


def make(work: Workload, model: str) -> Contender:
    """The model, ready to train."""
    torch.manual_seed(work.sizes.seed)
    return Loop(work, Network(work, model), nn.BCEWithLogitsLoss())
