"""NumPy twin of the sparsely-gated mixture of experts (Shazeer et al., ICLR 2017)."""

from dataclasses import dataclass, field

import numpy as np

from tests.reference import routing
from tests.reference.experts import softmax

Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass
class Routed:
    """What a sparse layer does to its tokens, and what it says of it."""

    outputs: np.ndarray  # (N, U)
    experts: np.ndarray  # (N, K)
    kept: np.ndarray  # (N, K)
    load: np.ndarray  # (E,), choices before any was dropped
    entropy: float = 0.0  # sum over routed tokens
    losses: dict[str, float] = field(default_factory=dict)  # means over groups, unweighted

    @property
    def dropped(self) -> int:
        return int(self.load.sum() - self.kept.sum())


def network(x: np.ndarray, layers: Layers) -> np.ndarray:
    """ReLU between layers, the last one linear; one row (D,)."""
    for kernel, bias in layers[:-1]:
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = layers[-1]
    return x @ kernel + bias


def mix(
    x: np.ndarray,
    networks: list[Layers],
    experts: np.ndarray,
    gates: np.ndarray,
    kept: np.ndarray,
) -> np.ndarray:
    """y = sum_i G_i E_i(x) over the choices that found room, token by token."""
    outputs = np.zeros((len(x), networks[0][-1][0].shape[-1]))
    for token, rank in np.argwhere(kept):
        outputs[token] += gates[token, rank] * network(x[token], networks[experts[token, rank]])
    return outputs


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def moe(
    x: np.ndarray,
    networks: list[Layers],
    gate: np.ndarray,
    noise_gate: np.ndarray | None = None,
    noise: np.ndarray | None = None,
    *,
    k: int,
    noise_epsilon: float = 0.01,
    capacity_factor: float | None = None,
    num_groups: int = 1,
    routed: np.ndarray | None = None,
) -> Routed:
    """`x` (N, D), `gate` and `noise_gate` (D, E), `noise` (N, E) normal draws or None."""
    num_tokens, num_experts = len(x), gate.shape[-1]
    routed = np.ones(num_tokens, bool) if routed is None else routed
    size = -(-num_tokens // num_groups)
    clean = x @ gate
    std = None if noise is None else softplus(x @ noise_gate) + noise_epsilon
    noisy = clean if noise is None else clean + noise * std
    experts = np.stack([routing.top_k(h, k) for h in noisy])
    gates = np.stack([softmax(h[chosen]) for h, chosen in zip(noisy, experts, strict=True)])
    kept = np.zeros(experts.shape, bool)
    importance_losses, load_losses = [], []
    for members in routing.groups(num_tokens, num_groups):
        some = np.array(members, int)
        room = size  # dropless: an expert takes every token
        if capacity_factor is not None:
            room = routing.capacity(size, num_experts, k, capacity_factor)
        kept[some] = routing.with_room(experts[some], room, routed[some])
        importance, load = np.zeros(num_experts), np.zeros(num_experts)
        for token in some[routed[some]]:
            importance[experts[token]] += gates[token]
            if noise is None or k == num_experts:
                load[experts[token]] += 1
            else:
                load += routing.chosen_again(clean[token], noisy[token], std[token], k)
        importance_losses.append(routing.squared_variation(importance))
        load_losses.append(routing.squared_variation(load))
    return Routed(
        outputs=mix(x, networks, experts, gates, kept),
        experts=experts,
        kept=kept,
        load=np.bincount(experts[routed].ravel(), minlength=num_experts),
        entropy=sum(routing.entropy(softmax(h)) for h in clean[routed]),
        losses={
            "importance_loss": float(np.mean(importance_losses)),
            "load_loss": float(np.mean(load_losses)),
        },
    )
