"""LibMTL's MMoE and its equal weighting, put together as its trainer does, in a bare loop.

Its `Trainer` is not used: it computes on `cuda:0` alone, and calls `next()` on loaders, which
PyTorch has no longer. Its `PLE` takes ResNets only.
"""

import sys
from types import ModuleType

import torch
from torch import nn

from benchmarks.peers.torch_training import DEVICE, Embeddings, Loop, perceptron, tower
from benchmarks.workload import Contender, Workload

# It loads ResNet weights with a module that torchvision had before 0.13; nothing here needs them.
for missing in ("torchvision", "torchvision.models", "torchvision.models.utils"):
    sys.modules.setdefault(missing, ModuleType(missing))
sys.modules["torchvision.models.utils"].load_state_dict_from_url = None  # type: ignore[attr-defined]

from LibMTL.architecture import MMoE  # noqa: E402
from LibMTL.weighting import EW  # noqa: E402


class WeightedMMoE(MMoE, EW):  # type: ignore[misc]
    """The class that its trainer makes of an architecture and a weighting."""


class Network(nn.Module):
    """Its model behind embeddings: in its encoders each expert would have some of its own."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.embeddings = Embeddings(work)
        self.model = WeightedMMoE(
            list(work.labels),
            lambda: perceptron((work.width, *work.sizes.expert_units)),
            nn.ModuleDict({task: tower(work) for task in work.labels}),
            rep_grad=False,
            multi_input=False,
            device=DEVICE,
            img_size=[work.width],
            num_experts=[work.sizes.num_experts],
        )

    def forward(self, ids: torch.Tensor, numeric: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits (B, 1) by task."""
        return self.model(self.embeddings(ids, numeric))


def losses(logits: dict[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """A loss a task (T,), in a vector that is filled as its trainer does."""
    values = torch.zeros(len(logits), device=DEVICE)
    for index, own in enumerate(logits.values()):
        values[index] = nn.functional.binary_cross_entropy_with_logits(own[:, 0], labels[:, index])
    return values


def make(work: Workload, model: str) -> Contender:
    """The model, ready to train.

    Raises:
        ValueError: if it is not "mmoe".
    """
    if model != "mmoe":
        raise ValueError(f"LibMTL has no {model} for vectors")
    torch.manual_seed(work.sizes.seed)
    network = Network(work)
    return Loop(work, network, losses, backward=network.model.backward)
