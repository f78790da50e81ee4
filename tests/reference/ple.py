"""NumPy twin of PLE (Tang et al., RecSys 2020): levels of CGC, for one row."""

import numpy as np

from tests.reference.cgc import cgc


def ple(x: np.ndarray, levels: list[dict]) -> np.ndarray:
    """`levels`: for each level the weights that `cgc` takes by name. Returns (T, U)."""
    tasks, shared = [x] * len(levels[0]["task_gates"]), x  # g^{k,0} = x
    for weights in levels:
        tasks, shared = cgc(tasks, shared, **weights)
    return np.stack(tasks)
