"""MoE: a trunk of many experts, of which every row uses few."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_mtl.checks import check_choice, check_rate
from keras_mtl.layers import MoE
from keras_mtl.layers.initialization import derive_seed
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task
from keras_mtl.zoo.building import Network, Towers, as_representation, build_model
from keras_mtl.zoo.registry import register_model


@register_model
def moe(
    inputs: Any,
    tasks: Task | str | Iterable[Task | str],
    *,
    num_experts: int = 16,
    expert_units: int | Sequence[int] = (64,),
    top_k: int = 2,
    capacity_factor: float | None = None,
    noisy: bool = True,
    importance_loss: float = 0.01,
    load_loss: float = 0.01,
    tower_units: Any = (32,),
    heads: Mapping[str, keras.layers.Layer] | None = None,
    activation: Any = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    name: str = "moe",
) -> MultiTaskModel:
    """A sparse mixture of experts that all tasks share, with a tower for each task.

    `y_t = h_t(sum_i G(x)_i f_i(x))`, where the gate `G` is 0 for all but K experts: capacity grows
    with the number of experts, the work of a row does not.

    Args:
        inputs: A width D, a `TabularFeatures` table, a `KerasTensor` of any functional graph, or a
            dict of them.
        tasks: `Task`s, or names of binary tasks.
        num_experts: Number of experts E.
        expert_units: Widths of each expert's layers.
        top_k: Experts K that a row uses, in [2, E].
        capacity_factor: Each expert takes this times its even share of the rows, and later rows
            get nothing of it; None drops none.
        noisy: Whether the gate draws noise while training.
        importance_loss: Weight of the loss that has experts weigh alike.
        load_loss: Weight of the loss that has experts used alike.
        tower_units: Widths of the towers, for all tasks or by task name; empty for none.
        heads: Layers by task name; each replaces its task's tower and head, and gives the
            prediction.
        activation: Activation of experts and towers.
        normalization: `"batch"`, `"layer"` or None, before every activation of the towers.
        dropout: Rate after every activation of experts and towers, in [0, 1).
        kernel_regularizer: Regulariser of every kernel but those of the gate.
        seed: Seed of all initial weights, of the noise and of the dropout; None draws one.
        name: Name of the model.

    Returns:
        A `MultiTaskModel`: (B, ..., D) to a dict of (B, ..., units) by task name.

    Raises:
        ValueError: If a size is not positive, `top_k` is not in [2, E], or a task's arguments do
            not fit.

    Example:

    >>> model = moe(4, ["click", "buy"], num_experts=8, expert_units=(8,))
    >>> tuple(model.get_layer("moe").output.shape)
    (None, 8)

    Reference:
        N. Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated
        Mixture-of-Experts Layer, ICLR 2017, eq. 1 to 11. The paper's model is recurrent and has
        one task; towers over its layer are a shared bottom's. The paper's experts end with a linear
        layer, these with `activation`, as the experts of the other constructors do.
    """
    check_rate("dropout", dropout)
    check_choice("normalization", normalization, (None, "batch", "layer"))
    network = Network(activation, normalization, dropout, kernel_regularizer, seed)
    towers = Towers(tower_units, {} if heads is None else heads)
    # --- inputs ---
    x = as_representation(inputs, seed)  # (B, ..., D)
    # --- shared ---
    x = MoE(
        num_experts,
        expert_units,
        top_k,
        capacity_factor,
        activation=activation,
        output_activation=activation,
        noisy=noisy,
        importance_loss=importance_loss,
        load_loss=load_loss,
        expert_dropout=dropout,
        kernel_regularizer=kernel_regularizer,
        seed=derive_seed(seed, "moe"),
        name="moe",
    )(x)  # (B, ..., U)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=derive_seed(seed, "dropout"), name="dropout")(x)
    # --- heads ---
    return build_model(x, tasks, towers, network, name, shared=True)
