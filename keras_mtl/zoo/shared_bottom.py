"""Shared bottom: one trunk for all tasks, a tower for each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_mtl.layers import Experts
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task
from keras_mtl.zoo.building import Network, Towers, as_representation, build_model
from keras_mtl.zoo.registry import register_model


@register_model
def shared_bottom(
    inputs: Any,
    tasks: Task | str | Iterable[Task | str],
    *,
    bottom_units: int | Sequence[int] = (64,),
    tower_units: Any = (32,),
    heads: Mapping[str, keras.layers.Layer] | None = None,
    activation: Any = "relu",
    normalization: str | None = None,
    dropout: float = 0.0,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    name: str = "shared_bottom",
) -> MultiTaskModel:
    """One trunk that all tasks read, with a tower for each task (hard parameter sharing).

    `y_t = h_t(f(x))`, with `f` the trunk and `h_t` the tower and head of task t.

    Args:
        inputs: A width D, a `TabularFeatures` table, a `KerasTensor` of any functional graph, or a
            dict of them.
        tasks: `Task`s, or names of binary tasks.
        bottom_units: Widths of the trunk.
        tower_units: Widths of the towers, for all tasks or by task name; empty for none.
        heads: Layers by task name; each replaces its task's tower and head, and gives the
            prediction.
        activation: Activation of trunk and towers.
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

    >>> model = shared_bottom(4, ["click", Task("price", "regression")], bottom_units=(8,))
    >>> {name: tuple(output.shape) for name, output in model.output.items()}
    {'click': (None, 1), 'price': (None, 1)}

    Reference:
        R. Caruana, Multitask Learning, Machine Learning 28, 1997; as eq. 1 of J. Ma et al., KDD
        2018.
    """
    network = Network(activation, normalization, dropout, kernel_regularizer, seed)
    towers = Towers(tower_units, {} if heads is None else heads)
    # --- shared ---
    bottom = Experts(1, bottom_units, **network.options("bottom"))
    # --- inputs ---
    x = bottom(as_representation(inputs, seed))[..., 0, :]  # (B, ..., U)
    # --- heads ---
    return build_model(x, tasks, towers, network, name, shared=True)
