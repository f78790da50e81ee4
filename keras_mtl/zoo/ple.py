"""PLE: levels of shared experts and experts of each task's own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_mtl.layers import PLE
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task, as_tasks
from keras_mtl.zoo.building import (
    Network,
    Towers,
    as_representation,
    build_model,
    per_task,
    sorted_tasks,
)
from keras_mtl.zoo.registry import register_model


@register_model
def ple(
    inputs: Any,
    tasks: Task | str | Iterable[Task | str],
    *,
    levels: int = 2,
    shared_experts: int = 2,
    task_experts: int | Mapping[str, int] = 2,
    expert_units: int | Sequence[int] = (64,),
    expert: keras.layers.Layer | None = None,
    gate_units: int | Sequence[int] = (),
    tower_units: Any = (32,),
    heads: Mapping[str, keras.layers.Layer] | None = None,
    activation: Any = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    name: str = "ple",
) -> MultiTaskModel:
    """Progressive layered extraction: levels of shared experts and experts of each task's own.

    `g_{t,j} = softmax(W_{t,j} g_{t,j-1}) S_{t,j}`, `g_{t,0} = x`, `y_t = h_t(g_{t,L})`: the gate of
    level j reads level j-1, and every level but the last also hands a mixture of *all* its experts
    to the next level's shared ones.

    Args:
        inputs: A width D, a `TabularFeatures` table, a `KerasTensor` of any functional graph, or a
            dict of them.
        tasks: `Task`s, or names of binary tasks.
        levels: Number of levels L.
        shared_experts: Number of experts a level that all tasks share.
        task_experts: Number of experts a level of each task's own, for all tasks or by task name.
        expert_units: Widths of each expert's layers.
        expert: A layer used in place of `expert_units`, copied for every expert.
        gate_units: Widths of hidden layers of the gates; empty for the paper's linear gate.
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

    >>> model = ple(
    ...     4,
    ...     ["click", "buy"],
    ...     levels=2,
    ...     shared_experts=1,
    ...     task_experts={"click": 1, "buy": 2},
    ...     expert_units=8,
    ... )
    >>> tuple(model.get_layer("ple").output.shape)
    (None, 2, 8)

    Reference:
        H. Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, section 4.2.
    """
    tasks = as_tasks(tasks)  # a generator gives them once
    network = Network(activation, normalization, dropout, kernel_regularizer, seed)
    towers = Towers(tower_units, {} if heads is None else heads)
    stacked = sorted_tasks(tasks)
    # --- shared ---
    mixtures = PLE(
        len(stacked),
        levels,
        shared_experts,
        per_task("task_experts", stacked, task_experts),
        expert_units if expert is None else None,
        gate_units,
        expert=expert,
        **network.options("ple"),
    )
    # --- inputs ---
    x = mixtures(as_representation(inputs, seed))  # (B, ..., T, U)
    # --- heads ---
    return build_model(x, tasks, towers, network, name, shared=False)
