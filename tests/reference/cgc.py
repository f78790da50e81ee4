"""NumPy twin of CGC and of one level of PLE (Tang et al., RecSys 2020), for one row."""

import numpy as np

from tests.reference.experts import expert, softmax


def cgc(
    task_inputs: list[np.ndarray],
    shared_input: np.ndarray,
    task_experts: list[list],
    shared_experts: list,
    task_gates: list[np.ndarray],
    shared_gate: np.ndarray | None = None,
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """One level: the vectors of the tasks and, where there is a shared gate, the shared one.

    `task_experts[k]` are the m_k experts of task k, `task_gates[k]` is its W_g (m_k + m_s, d).
    `shared_gate` mixes all experts: those of task 0, of task 1, ..., the shared ones.
    """
    own = [
        [expert(x, layers) for layers in experts]
        for x, experts in zip(task_inputs, task_experts, strict=True)
    ]
    shared = [expert(shared_input, layers) for layers in shared_experts]
    tasks = [
        softmax(gate @ x) @ np.stack(outputs + shared)  # w^k(x) S^k(x)
        for x, gate, outputs in zip(task_inputs, task_gates, own, strict=True)
    ]
    if shared_gate is None:
        return tasks, None
    everything = np.stack([output for outputs in own for output in outputs] + shared)
    return tasks, softmax(shared_gate @ shared_input) @ everything
