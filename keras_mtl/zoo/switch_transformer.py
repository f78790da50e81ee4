"""Switch Transformer: an encoder, some of whose feed-forward layers are sparse."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_mtl.checks import (
    check_choice,
    check_identifier,
    check_integer,
    check_positive,
    check_rate,
)
from keras_mtl.layers.initialization import derive_seed
from keras_mtl.layers.masked_mean import MaskedMean
from keras_mtl.layers.position_embedding import PositionEmbedding
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task, as_tasks
from keras_mtl.zoo.building import Network, Towers, build_model, per_task, sorted_tasks
from keras_mtl.zoo.encoder import Encoder
from keras_mtl.zoo.registry import register_model
from keras_mtl.zoo.sequences import as_sequence


@register_model
def switch_transformer(
    inputs: Any,
    tasks: Task | str | Iterable[Task | str],
    *,
    vocabulary_size: int | None = None,
    max_length: int = 512,
    num_layers: int = 4,
    num_heads: int = 4,
    model_units: int = 128,
    hidden_units: int = 512,
    num_experts: int = 8,
    sparse_every: int = 2,
    top_k: int = 1,
    capacity_factor: float | None = 1.25,
    eval_capacity_factor: float | None = None,
    jitter: float = 0.01,
    balance_loss: float = 0.01,
    router_z_loss: float = 0.0,
    expert_dropout: float | None = None,
    pooling: Any = None,
    tower_units: Any = (),
    heads: Mapping[str, keras.layers.Layer] | None = None,
    activation: Any = "relu",
    dropout: float = 0.0,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    name: str = "switch_transformer",
) -> MultiTaskModel:
    """A transformer encoder with sparse feed-forward layers, for tasks on sequences or on tokens.

    `x = x + attention(norm(x))`, `x = x + ffn(norm(x))` in every layer, where each
    `sparse_every`-th `ffn` is a `SwitchFFN` and the others are dense. Padding is seen by no token,
    takes no expert's room, and counts in no mean.

    Args:
        inputs: A `TabularFeatures` table of sequences with `pooling=None`, a `KerasTensor` of token
            ids (B, S) where 0 is padding, or of vectors (B, S, D) with or without a Keras mask, a
            dict of such vectors, or a width D.
        tasks: `Task`s, or names of binary tasks. Labels are (B,) of a task on sequences, (B, S) of
            one on tokens; those of padding do not count.
        vocabulary_size: Number of token ids, that of padding among them; None for vectors.
        max_length: Length S of the longest sequence; `inputs` of a fixed length need no more.
        num_layers: Number of layers L.
        num_heads: Heads of each attention.
        model_units: Width of the residual stream, a multiple of `num_heads`.
        hidden_units: Width of every hidden layer, of dense layers and of each expert.
        num_experts: Number of experts E.
        sparse_every: One layer in so many is sparse, with 2 the second, the fourth and so on; 0 for
            none, the dense transformer.
        top_k: Experts that a token uses.
        capacity_factor: Factor of an expert's even share of tokens while training; what comes
            beyond passes by the residual alone.
        eval_capacity_factor: The same otherwise. The paper has 2; with None no token is dropped, so
            that a prediction does not depend on the other rows of its batch.
        jitter: Half width of the factors on the router's input while training.
        balance_loss: Weight of the balance loss of each sparse layer.
        router_z_loss: Weight of the z-loss of each router.
        expert_dropout: Rate of hidden units of the experts; `dropout` unless given.
        pooling: None for tasks on tokens, `"mean"` for tasks on sequences; for all tasks or by
            task name.
        tower_units: Widths of the towers, for all tasks or by task name; empty for none.
        heads: Layers by task name; each replaces its task's tower and head, and gives the
            prediction.
        activation: Activation of feed-forward layers and towers.
        dropout: Rate of attention weights, of hidden units, and of what each part adds to the
            residual stream, in [0, 1).
        kernel_regularizer: Regulariser of every kernel but those of routers.
        seed: Seed of all initial weights, of the jitter and of the dropout; None draws one.
        name: Name of the model.

    Returns:
        A `MultiTaskModel`: (B, S) or (B, S, D) to a dict by task name of (B, S, units), of a
        pooled task (B, units).

    Raises:
        ValueError: If a size is not positive, a sequence is longer than `max_length`, or a task's
            arguments do not fit.

    Example:

    >>> tokens = keras.Input((6,), dtype="int32", name="tokens")
    >>> tasks = [Task("tag", "multiclass", units=5), Task("spam")]
    >>> sizes = {"num_layers": 2, "model_units": 8, "hidden_units": 16, "num_experts": 4}
    >>> model = switch_transformer(
    ...     tokens, tasks, vocabulary_size=100, pooling={"tag": None, "spam": "mean"}, **sizes
    ... )
    >>> model.output["tag"].shape, model.output["spam"].shape
    ((None, 6, 5), (None, 1))

    Reference:
        W. Fedus, B. Zoph, N. Shazeer, Switch Transformers, JMLR 2022: every other feed-forward
        layer is sparse, norms come first. Departures: the paper's T5 has relative positions,
        root-mean-square norms and a decoder; here positions are learned and norms are Keras'
        `LayerNormalization`, as in most encoders. The scale 0.1 of initial kernels is that of
        experts and routers; attention and dense layers are Glorot's, with biases.
    """
    tasks = as_tasks(tasks)  # a generator gives them once
    check_integer("sparse_every", sparse_every, minimum=0)
    check_rate("dropout", dropout)
    check_identifier("activation", keras.activations.get, activation)
    check_identifier("kernel_regularizer", keras.regularizers.get, kernel_regularizer)
    network = Network(activation, None, dropout, kernel_regularizer, seed)
    towers = Towers(tower_units, {} if heads is None else heads)
    sparse = {
        "num_experts": num_experts,
        "top_k": top_k,
        "capacity_factor": capacity_factor,
        "eval_capacity_factor": eval_capacity_factor,
        "jitter": jitter,
        "balance_loss": balance_loss,
        "router_z_loss": router_z_loss,
        "expert_dropout": dropout if expert_dropout is None else expert_dropout,
    }
    encoder = Encoder(
        network,
        check_positive("model_units", model_units),
        check_positive("hidden_units", hidden_units),
        check_positive("num_heads", num_heads),
    )
    # --- inputs ---
    x = as_sequence(inputs, vocabulary_size, model_units, seed)  # (B, S, D)
    if x.shape[-1] != model_units:
        x = encoder.linear(model_units, "projection")(x)
    length = min(check_positive("max_length", max_length), x.shape[1] or max_length)
    x = PositionEmbedding(length, seed=derive_seed(seed, "positions"), name="positions")(x)
    # --- shared ---
    for number in range(1, check_positive("num_layers", num_layers) + 1):
        x = encoder.attention(x, f"attention_{number}")
        if sparse_every and number % sparse_every == 0:
            x = encoder.sparse(x, sparse, f"switch_{number}")
        else:
            x = encoder.dense(x, f"dense_{number}")
    x = keras.layers.LayerNormalization(name="norm")(x)  # (B, S, D)
    # --- heads ---
    return build_model(_pooled(x, tasks, pooling), tasks, towers, network, name, shared=True)


def _pooled(x: keras.KerasTensor, tasks: Any, pooling: Any) -> dict[str, keras.KerasTensor]:
    """What each task reads: all tokens, or their mean."""
    stacked = sorted_tasks(tasks)
    kinds = [
        check_choice("pooling", kind, (None, "mean"))
        for kind in per_task("pooling", stacked, pooling)
    ]
    mean = MaskedMean(name="mean")(x) if "mean" in kinds else None  # (B, D)
    return {
        task.name: x if kind is None else mean for task, kind in zip(stacked, kinds, strict=True)
    }
