"""NumPy twin of the Switch layer (Fedus et al., JMLR 2022), also with several experts a token."""

import numpy as np

from tests.reference import routing
from tests.reference.experts import softmax
from tests.reference.moe import Layers, Routed, mix


def switch_ffn(
    x: np.ndarray,
    networks: list[Layers],
    router: np.ndarray,
    *,
    k: int = 1,
    capacity_factor: float | None = 1.25,
    min_capacity: int = 4,
    num_groups: int = 1,
    jitter: np.ndarray | None = None,
    routed: np.ndarray | None = None,
) -> Routed:
    """`x` (N, D), `router` (D, E), `jitter` (N, D) factors of the router's input."""
    num_tokens, num_experts = len(x), router.shape[-1]
    routed = np.ones(num_tokens, bool) if routed is None else routed
    size = -(-num_tokens // num_groups)
    logits = (x if jitter is None else x * jitter) @ router
    probabilities = np.stack([softmax(h) for h in logits])
    experts = np.stack([routing.top_k(p, k) for p in probabilities])
    gates = np.take_along_axis(probabilities, experts, -1)
    if k > 1:
        gates = gates / gates.sum(-1, keepdims=True)
    room = size  # without a factor an expert takes every token
    if capacity_factor is not None:
        room = routing.capacity(size, num_experts, k, capacity_factor, min_capacity)
    kept = np.zeros(experts.shape, bool)
    balances, z_losses = [], []
    for members in routing.groups(num_tokens, num_groups):
        some = np.array(members, int)
        kept[some] = routing.with_room(experts[some], room, routed[some])
        real = some[routed[some]]
        balances.append(routing.balance(probabilities[real]))
        z_losses.append(routing.z_loss(logits[real]))
    return Routed(
        outputs=mix(x, networks, experts, gates, kept),
        experts=experts,
        kept=kept,
        load=np.bincount(experts[routed].ravel(), minlength=num_experts),
        entropy=sum(routing.entropy(p) for p in probabilities[routed]),
        losses={
            "balance_loss": float(np.mean(balances)),
            "router_z_loss": float(np.mean(z_losses)),
        },
    )
