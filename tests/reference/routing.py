"""NumPy twins of sparse routing, one token and one choice at a time.

Shazeer et al., ICLR 2017, equations 4 to 11; Fedus et al., JMLR 2022, equations 3 to 6. Places are
those of Mesh TensorFlow: exclusive, first choices of all tokens before second ones.
"""

import math
from fractions import Fraction

import numpy as np


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Who has the k highest scores (K,), best first, lower indices first among equals."""
    return np.array(sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k])


def groups(num_tokens: int, num_groups: int) -> list[range]:
    """Consecutive tokens, as many a group as there would be if the last ones were filled up."""
    size = -(-num_tokens // num_groups)
    starts = (min(group * size, num_tokens) for group in range(num_groups))
    return [range(start, min(start + size, num_tokens)) for start in starts]


def capacity(tokens: int, num_experts: int, k: int, factor: float, minimum: int = 1) -> int:
    """floor(factor * K * tokens / E) without rounding errors: 29 for 0.29 * 100."""
    exact = Fraction(str(factor)) * k * tokens / num_experts
    return min(max(math.floor(exact), minimum), tokens)


def with_room(experts: np.ndarray, capacity: int, routed: np.ndarray) -> np.ndarray:
    """Which choices (N, K) of one group find a slot."""
    found = np.zeros(experts.shape, bool)
    taken: dict[int, int] = {}
    for rank in range(experts.shape[1]):
        for token in np.flatnonzero(routed):
            expert = experts[token, rank]
            found[token, rank] = taken.get(expert, 0) < capacity
            taken[expert] = taken.get(expert, 0) + found[token, rank]
    return found


def squared_variation(values: np.ndarray) -> float:
    """CV^2 with the variance of a population."""
    return np.var(values) / (np.mean(values) ** 2 + 1e-10)


def chosen_again(clean: np.ndarray, noisy: np.ndarray, std: np.ndarray, k: int) -> np.ndarray:
    """P(x, i) of one token (E,), equations 8 and 9."""
    probabilities = []
    for i in range(len(clean)):
        threshold = np.sort(np.delete(noisy, i))[-k]  # kth_excluding(H(x), k, i)
        z = (clean[i] - threshold) / std[i]
        probabilities.append(0.5 * (1 + math.erf(z / math.sqrt(2))))
    return np.array(probabilities)


def balance(probabilities: np.ndarray) -> float:
    """E sum_e f_e P_e of the routed tokens (N, E) of one group."""
    if not len(probabilities):
        return 0.0
    num_experts = probabilities.shape[-1]
    firsts = [top_k(p, 1)[0] for p in probabilities]
    shares = np.bincount(firsts, minlength=num_experts) / len(firsts)  # f
    return num_experts * float(shares @ probabilities.mean(0))


def z_loss(logits: np.ndarray) -> float:
    """Mean over routed tokens (N, E) of log(sum exp)^2."""
    return float(np.mean(np.log(np.exp(logits).sum(-1)) ** 2)) if len(logits) else 0.0


def entropy(probabilities: np.ndarray) -> float:
    """Of one token, in nats."""
    return float(-sum(p * math.log(p) for p in probabilities if p > 0))
