"""NumPy twins of experts and gates, one row, one expert, one gate at a time."""

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def expert(x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """A ReLU network given as a list of (kernel (D, U), bias (U,)), applied to one row (D,)."""
    for kernel, bias in layers:
        x = relu(x @ kernel + bias)
    return x
