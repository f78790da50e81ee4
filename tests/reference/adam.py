"""NumPy twin of Adam with dense gradients: Kingma and Ba, ICLR 2015, the efficient order of 2.1."""

import numpy as np


def adam(
    weight: np.ndarray,
    gradients: list[np.ndarray],
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> np.ndarray:
    """The weight after a step per gradient."""
    weight = np.asarray(weight, float)
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for step, gradient in enumerate(gradients, start=1):
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = beta_2 * square + (1 - beta_2) * np.asarray(gradient, float) ** 2
        scale = rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        weight = weight - scale * mean / (np.sqrt(square) + epsilon)
    return weight
