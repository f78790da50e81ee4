"""Regularisers of stacked kernels."""

from typing import Any

import keras
from keras import ops

ELEMENTWISE = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


class StackedRegularizer(keras.regularizers.Regularizer):
    """The sum of a regulariser over the slices of a stack (N, ...), as of N separate kernels.

    Args:
        regularizer: what `keras.regularizers.get` returned, for one slice.
    """

    def __init__(self, regularizer: Any) -> None:
        self.regularizer = regularizer

    def __call__(self, stack: Any) -> Any:
        """Returns the penalty, a scalar."""
        if type(self.regularizer) in ELEMENTWISE:  # sums over entries: the stack is their sum
            return self.regularizer(stack)
        return ops.sum(ops.vectorized_map(self.regularizer, ops.convert_to_tensor(stack)))


def stacked_regularizer(regularizer: Any) -> StackedRegularizer | None:
    """The regulariser of a stack whose slices `regularizer` is for; `None` stays `None`."""
    return None if regularizer is None else StackedRegularizer(regularizer)
