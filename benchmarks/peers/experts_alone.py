"""The products of sparse experts on slots that are full already: nothing is routed."""

from typing import Any

import keras
from keras import ops


class ExpertsAlone(keras.layers.Layer):
    """Tokens, and the first ones again, fill the slots in the order they have.

    Args:
        num_experts: number of experts E.
        hidden: width H of each expert's hidden layer.
        tokens: number of tokens N, at most that of slots.
        capacity: slots C of each expert.
    """

    def __init__(self, num_experts: int, hidden: int, tokens: int, capacity: int) -> None:
        super().__init__()
        self._num_experts, self._hidden = num_experts, hidden
        self._tokens, self._capacity = tokens, capacity

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the kernels."""
        depth, experts = input_shape[-1], self._num_experts
        self._first = self.add_weight(shape=(experts, depth, self._hidden))
        self._second = self.add_weight(shape=(experts, self._hidden, depth))

    def call(self, tokens: Any) -> Any:
        """(N, D) -> (N, D)."""
        experts, capacity, depth = self._num_experts, self._capacity, tokens.shape[-1]
        again = tokens[: experts * capacity - self._tokens]
        slots = ops.concatenate([tokens, again], axis=0)  # (E * C, D)
        slots = ops.reshape(slots, (experts, capacity, depth))  # (E, C, D)
        hidden = ops.relu(ops.matmul(slots, self._first))  # (E, C, H)
        y = ops.reshape(ops.matmul(hidden, self._second), (-1, depth))  # (E * C, D)
        return y[: self._tokens]
