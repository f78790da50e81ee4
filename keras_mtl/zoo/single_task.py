"""Single task: one network a task, the baseline that sharing has to beat."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_mtl.layers import Experts
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task, as_tasks
from keras_mtl.zoo.building import (
    Network,
    Towers,
    as_separate_representations,
    build_model,
    sorted_tasks,
)
from keras_mtl.zoo.registry import register_model


@register_model
def single_task(
    inputs: Any,
    tasks: Task | str | Iterable[Task | str],
    *,
    hidden_units: int | Sequence[int] = (64,),
    tower_units: Any = (32,),
    heads: Mapping[str, keras.layers.Layer] | None = None,
    activation: Any = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    name: str = "single_task",
) -> MultiTaskModel:
    """One network for each task, nothing shared: the baseline of every comparison.

    `y_t = h_t(f_t(x))`. With a `TabularFeatures` table each task also has embeddings of its own;
    what lies before a `KerasTensor` given as `inputs` is shared, since it is already there.

    Args:
        inputs: A width D, a `TabularFeatures` table, a `KerasTensor` of any functional graph, or a
            dict of them.
        tasks: `Task`s, or names of binary tasks.
        hidden_units: Widths of each task's network below its tower.
        tower_units: Widths of the towers, for all tasks or by task name; empty for none.
        heads: Layers by task name; each replaces its task's tower and head, and gives the
            prediction.
        activation: Activation of every layer.
        normalization: `"batch"`, `"layer"` or None, before every activation.
        dropout: Rate after every activation, in [0, 1).
        kernel_regularizer: Regulariser of every kernel.
        seed: Seed of all initial weights and of the dropout; None draws one.
        name: Name of the model.

    Returns:
        A `MultiTaskModel`: (B, ..., D) to a dict of (B, ..., units) by task name.

    Raises:
        ValueError: If a width is not positive or a task's arguments do not fit.

    Example:

    >>> model = single_task(4, ["click", "buy"], hidden_units=(8,))
    >>> [tuple(weight.shape) for weight in model.get_layer("networks").weights]
    [(2, 4, 8), (2, 8)]

    Reference:
        The single-task rows of J. Ma et al., KDD 2018, and H. Tang et al., RecSys 2020.
    """
    tasks = as_tasks(tasks)  # a generator gives them once
    network = Network(activation, normalization, dropout, kernel_regularizer, seed)
    towers = Towers(tower_units, {} if heads is None else heads)
    stacked = sorted_tasks(tasks)
    # --- inputs ---
    x, separate = as_separate_representations(inputs, stacked, seed)  # (B, ..., T, D) if separate
    # --- networks ---
    slots = range(len(stacked)) if separate else None
    options = network.options("networks")
    x = Experts(len(stacked), hidden_units, input_slots=slots, **options)(x)  # (B, ..., T, U)
    # --- heads ---
    return build_model(x, tasks, towers, network, name, shared=False)
