"""NumPy twin of one layer of the Switch encoder (Fedus et al., JMLR 2022), norms first.

Attention: Vaswani et al., NIPS 2017, equation 1, a token and a head at a time.
"""

import numpy as np

from tests.reference.experts import softmax
from tests.reference.switch_ffn import switch_ffn

Weights = dict[str, np.ndarray]


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return gamma * centred / np.sqrt(x.var(-1, keepdims=True) + 1e-3) + beta


def attention(x: np.ndarray, shown: np.ndarray, weights: Weights) -> np.ndarray:
    """`x` (S, D), `shown` (S,); kernels (D, H, W) and (H, W, D). Hidden tokens are not attended.

    A bias of keys adds the same to all scores of a token, so a layer may have none.
    """
    query, key, value = (
        np.einsum("sd,dhw->shw", x, weights[f"{name}/kernel"]) + weights.get(f"{name}/bias", 0.0)
        for name in ("query", "key", "value")
    )
    outputs = np.tile(weights["attention_output/bias"], (len(x), 1))
    for token in np.flatnonzero(shown):
        for head in range(query.shape[1]):
            scores = key[shown, head] @ query[token, head] / np.sqrt(query.shape[-1])
            mixed = softmax(scores) @ value[shown, head]
            outputs[token] += mixed @ weights["attention_output/kernel"][head]
    return outputs


def encoder_layer(
    x: np.ndarray, shown: np.ndarray, norms: list, weights: Weights, switch: Weights, **options
) -> np.ndarray:
    """`x` (B, S, D), `shown` (B, S), `norms` (gamma, beta) twice, `options` of `switch_ffn`."""
    normed = layer_norm(x, *norms[0])
    x = x + np.stack([attention(*row, weights) for row in zip(normed, shown, strict=True)])
    tokens = layer_norm(x, *norms[1]).reshape(-1, x.shape[-1])
    kernels = zip(switch["experts/kernel_0"], switch["experts/kernel_1"], strict=True)
    networks = [[(first, 0.0), (second, 0.0)] for first, second in kernels]
    routed = switch_ffn(tokens, networks, switch["router/kernel"], routed=shown.ravel(), **options)
    return x + routed.outputs.reshape(x.shape)
