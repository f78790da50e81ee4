"""Hugging Face transformers' Switch layer in a bare PyTorch loop."""

import torch
from transformers import SwitchTransformersConfig
from transformers.models.switch_transformers.modeling_switch_transformers import (
    SwitchTransformersSparseMLP,
)

from benchmarks.workload import Contender, Workload


class HuggingFaceSwitch:
    """The layer on one sequence of all tokens, by which its capacity counts; plain descent."""

    def __init__(self, work: Workload, capacity_factor: float) -> None:
        sizes = work.sizes
        capacity = int(len(work) / sizes.num_experts * capacity_factor)
        config = SwitchTransformersConfig(
            d_model=work.width,
            d_ff=sizes.expert_units[0],
            num_experts=sizes.num_experts,
            expert_capacity=capacity,
            dropout_rate=0.0,
        )
        self._layer = SwitchTransformersSparseMLP(config)
        check_drops(self._layer, len(work), work.width, capacity)
        self._tokens = torch.as_tensor(work.numeric)[None].requires_grad_()  # (1, B, D)
        self._optimizer = torch.optim.SGD(self._layer.parameters(), lr=0.01)
        self.parameters = sum(weight.numel() for weight in self._layer.parameters())

    def train(self, rows: int) -> None:
        """As many steps as the rows have batches of all tokens."""
        for _ in range(-(-rows // self._tokens.shape[1])):
            self._optimizer.zero_grad()
            self._tokens.grad = None
            # A copy, as of a layer before it: the router's noise writes over what it is given.
            self._layer(self._tokens.clone()).square().mean().backward()
            self._optimizer.step()


@torch.no_grad()
def check_drops(layer: SwitchTransformersSparseMLP, tokens: int, width: int, capacity: int) -> None:
    """Refuses a release that computes tokens beyond the capacity: there are such.

    Raises:
        ValueError: If of equal tokens, which all go to one expert, others than the first come out.
    """
    layer.eval()
    computed = int(layer(torch.ones(1, tokens, width)).any(dim=-1).sum())
    layer.train()
    if computed != min(capacity, tokens):
        raise ValueError(
            f"Of {tokens} tokens for one expert of capacity {capacity}, {computed} were computed"
        )


def make(work: Workload, model: str, capacity_factor: float) -> Contender:
    """The layer, ready to train."""
    torch.manual_seed(work.sizes.seed)
    return HuggingFaceSwitch(work, capacity_factor)
