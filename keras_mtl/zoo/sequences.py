"""What a sequence model starts from: one vector a token, with a mask."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl.checks import check_positive
from keras_mtl.features import TabularFeatures
from keras_mtl.layers.initialization import derive_seed
from keras_mtl.layers.joined_sequences import JoinedSequences
from keras_mtl.zoo.building import as_representation


def as_sequence(
    inputs: Any, vocabulary_size: int | None, units: int, seed: int | None
) -> keras.KerasTensor:
    """Token vectors (B, S, D) of any of the forms that `inputs` may have.

    Args:
        inputs: A width D (one input called "features"), a `TabularFeatures` table of unpooled
            sequences, a `KerasTensor` of token ids (B, S) or vectors (B, S, D), or a dict of
            vectors, which are concatenated on the last axis.
        vocabulary_size: Number of token ids, 0 for padding among them; None for vectors.
        units: Width of the embeddings of token ids.
        seed: Seed of the embeddings.
    """
    x = _as_tensor(inputs, seed)
    if len(x.shape) == 2 and vocabulary_size is not None:
        return keras.layers.Embedding(
            check_positive("vocabulary_size", vocabulary_size),
            units,
            keras.initializers.RandomUniform(seed=derive_seed(seed, "embeddings")),
            mask_zero=True,
            name="embeddings",
        )(x)  # (B, S, D)
    if len(x.shape) != 3 or vocabulary_size is not None:
        raise ValueError(
            "Argument `inputs` must be vectors (B, S, D), or token ids (B, S) with "
            f"`vocabulary_size`. Received: shape={x.shape}, vocabulary_size={vocabulary_size}"
        )
    return x


def _as_tensor(inputs: Any, seed: int | None) -> keras.KerasTensor:
    if isinstance(inputs, TabularFeatures):
        return _table_sequence(inputs, seed)
    if isinstance(inputs, int) and not isinstance(inputs, bool):
        return keras.Input((None, check_positive("inputs", inputs)), name="features")
    if isinstance(inputs, Mapping) and len(inputs) > 1:
        each = [as_representation(inputs[name], seed) for name in sorted(inputs)]
        return JoinedSequences()(each)  # (B, S, D)
    return as_representation(inputs, seed)


def _table_sequence(table: TabularFeatures, seed: int | None) -> keras.KerasTensor:
    """The unpooled sequences of a table, side by side."""
    others = [c.name for c in table.columns if getattr(c, "pooling", "none there") is not None]
    if others:
        raise ValueError(
            "Argument `inputs` must be a table of sequences with pooling=None alone. "
            f"Received: other columns {others}"
        )
    vectors = table.embed(concatenate=False, seed=derive_seed(seed, "embeddings"))
    tensors = [vectors[name] for name in sorted(vectors)]
    return tensors[0] if len(tensors) == 1 else JoinedSequences()(tensors)
