"""PositionEmbedding: a learned vector for every place of a sequence."""

from typing import Any

import keras
from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_positive, check_seed


@keras_mtl_export
class PositionEmbedding(keras.layers.Layer):
    """Adds to a sequence a learned vector for each of its places: `y_s = x_s + e_s`.

    Args:
        max_length: length of the longest sequence.
        seed: seed of the initial vectors.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(B, S, D)`, S at most `max_length`.

    Output shape:
        `(B, S, D)`.

    Raises:
        ValueError: if the sequence is longer than the table.
    """

    def __init__(self, max_length: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_length = check_positive("max_length", max_length)
        self.seed = check_seed(seed)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the vectors (S, D)."""
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.max_length, input_shape[-1]),
            initializer=keras.initializers.RandomNormal(stddev=0.02, seed=self.seed),
        )

    def call(self, inputs: Any) -> Any:
        """Returns the sequence with its places' vectors added."""
        self._check_length(inputs.shape)
        return inputs + self.embeddings[: ops.shape(inputs)[1]]  # (B, S, D)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns (B, S, D)."""
        self._check_length(input_shape)
        return input_shape

    def _check_length(self, shape: tuple[int | None, ...]) -> None:
        if shape[1] is not None and shape[1] > self.max_length:
            raise ValueError(
                f"A sequence must have at most `max_length` entries. Received: {shape[1]} entries, "
                f"max_length={self.max_length}"
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {**super().get_config(), "max_length": self.max_length, "seed": self.seed}
