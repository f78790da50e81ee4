"""MaskedMean: the mean over a sequence, also over one without entries."""

from typing import Any

import keras
from keras import ops

from keras_mtl.api_export import keras_mtl_export


@keras_mtl_export
class MaskedMean(keras.layers.Layer):
    """The mean of the entries that a mask shows: `y = sum_s m_s x_s / max(1, sum_s m_s)`.

    `keras.layers.GlobalAveragePooling1D` gives NaN for a sequence of padding alone; this gives 0.

    Input shape:
        `(B, S, D)`, and its mask (B, S).

    Output shape:
        `(B, D)`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Returns the mean over the sequence."""
        if mask is None:
            return ops.mean(inputs, axis=1)  # (B, D)
        shown = ops.where(mask[..., None], inputs, 0)  # (B, S, D)
        count = ops.sum(ops.cast(mask, inputs.dtype), axis=1, keepdims=True)  # (B, 1)
        return ops.sum(shown, axis=1) / ops.maximum(count, 1)  # (B, D)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Returns None: nothing of the sequence is left."""

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns (B, D)."""
        return (input_shape[0], input_shape[-1])
