"""NumPy twin of MMoE (Ma et al., KDD 2018, equations 5 to 8), for one row."""

import numpy as np

from tests.reference.experts import expert, softmax


def mmoe(x: np.ndarray, experts: list, gates: list[np.ndarray]) -> np.ndarray:
    """`experts`: n lists of (kernel, bias); `gates`: for each task W_gk (n, d). Returns (T, U)."""
    outputs = [expert(x, layers) for layers in experts]  # f_i(x)
    mixtures = []
    for gate in gates:
        weights = softmax(gate @ x)  # g^k(x), equation 7
        mixtures.append(sum(weights[i] * outputs[i] for i in range(len(outputs))))  # equation 6
    return np.stack(mixtures)
