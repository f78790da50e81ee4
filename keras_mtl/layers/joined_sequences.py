"""JoinedSequences: sequences side by side, with the masks that they have."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_mtl.api_export import keras_mtl_export


@keras_mtl_export
class JoinedSequences(keras.layers.Concatenate):
    """`keras.layers.Concatenate` on the last axis, of sequences with and without masks.

    An entry is shown where all masks show it. Keras' own takes a missing mask for one that shows
    everything, and shows what any mask shows.

    Input shape:
        a list of `(B, S, D)`, D of each its own.

    Output shape:
        `(B, S, U)`, U the sum of all D.
    """

    def compute_mask(self, inputs: Sequence[Any], mask: Any = None) -> Any:
        """Returns the entries (B, S) that no mask hides; None without any mask."""
        masks = [each for each in mask or () if each is not None]
        shown = masks[0] if masks else None
        for each in masks[1:]:
            shown = keras.ops.logical_and(shown, each)
        return shown
