"""MMoE: experts for all tasks, a gate for each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_mtl.layers import MMoE
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task, as_tasks
from keras_mtl.zoo.building import Network, Towers, as_representation, build_model, sorted_tasks
from keras_mtl.zoo.registry import register_model


@register_model
def mmoe(
    inputs: Any,
    tasks: Task | str | Iterable[Task | str],
    *,
    num_experts: int = 8,
    expert_units: int | Sequence[int] = (64,),
    expert: keras.layers.Layer | None = None,
    gate_units: int | Sequence[int] = (),
    one_gate: bool = False,
    tower_units: Any = (32,),
    heads: Mapping[str, keras.layers.Layer] | None = None,
    activation: Any = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    name: str = "mmoe",
) -> MultiTaskModel:
    """Experts that all tasks share, mixed for each by a gate of its own; OMoE with `one_gate`.

    `y_t = h_t(sum_e g_t(x)_e f_e(x))`, `g_t(x) = softmax(W_t x)`.

    Args:
        inputs: A width D, a `TabularFeatures` table, a `KerasTensor` of any functional graph, or a
            dict of them.
        tasks: `Task`s, or names of binary tasks.
        num_experts: Number of experts E.
        expert_units: Widths of each expert's layers.
        expert: A layer used in place of `expert_units`, copied for every expert.
        gate_units: Widths of hidden layers of the gates; empty for the paper's linear gate.
        one_gate: Whether one gate serves all tasks.
        tower_units: Widths of the towers, for all tasks or by task name; empty for none.
        heads: Layers by task name; each replaces its task's tower and head, and gives the
            prediction.
        activation: Activation of experts and towers.
        normalization: `"batch"`, `"layer"` or None, before every activation of experts and towers.
        dropout: Rate after every activation of experts and towers, in [0, 1).
        kernel_regularizer: Regulariser of every kernel but those of gates.
        seed: Seed of all initial weights and of the dropout; None draws one.
        name: Name of the model.

    Returns:
        A `MultiTaskModel`: (B, ..., D) to a dict of (B, ..., units) by task name.

    Raises:
        ValueError: If a size is not positive or a task's arguments do not fit.

    Example:

    >>> model = mmoe(4, ["click", "buy"], num_experts=3, expert_units=(8,))
    >>> tuple(model.get_layer("mmoe").output.shape)
    (None, 2, 8)

    Reference:
        J. Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, KDD 2018, eq. 5 to 8; OMoE is their one-gate baseline.
    """
    tasks = as_tasks(tasks)  # a generator gives them once
    network = Network(activation, normalization, dropout, kernel_regularizer, seed)
    towers = Towers(tower_units, {} if heads is None else heads)
    # --- shared ---
    mixtures = MMoE(
        len(sorted_tasks(tasks)),
        num_experts,
        expert_units if expert is None else None,
        gate_units,
        one_gate,
        expert=expert,
        **network.options("mmoe"),
    )
    # --- inputs ---
    x = mixtures(as_representation(inputs, seed))  # (B, ..., T, U)
    # --- heads ---
    return build_model(x, tasks, towers, network, name, shared=False)
