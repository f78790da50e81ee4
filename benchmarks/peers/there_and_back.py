"""Tokens on the way to the slots of experts and back, by gathering and by scattering."""

from typing import Any

import keras
from keras import ops

from keras_mtl.layers import routing


class ThereAndBack(keras.layers.Layer):
    """Every token times its probability of its expert; zero for tokens beyond the capacity.

    Args:
        num_experts: number of experts.
        capacity_factor: factor of the slots of each.
        scatter: whether rows are scattered into slots, and gradients of reading them back as well;
            otherwise both gather, as the library does.
    """

    def __init__(self, num_experts: int, capacity_factor: float, scatter: bool) -> None:
        super().__init__()
        self._num_experts = num_experts
        self._factor = capacity_factor
        self._scatter = scatter
        self._router = keras.layers.Dense(num_experts, use_bias=False)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the router."""
        self._router.build(input_shape)

    def call(self, tokens: Any) -> Any:
        """(N, D) -> (N, D)."""
        probabilities = ops.softmax(self._router(tokens))  # (N, E)
        weights, experts = routing.top_k(probabilities, 1)  # (N, 1)
        queue = routing.queue_up(experts, self._num_experts)
        rows = ops.shape(tokens)[0]
        capacity = routing.expert_capacity(rows, self._num_experts, 1, self._factor)
        plan = routing.capacity_plan(queue, capacity)
        if self._scatter:
            return _by_scattering(tokens, weights, plan)
        return routing.combine(routing.dispatch(tokens, plan), weights, plan)


def _by_scattering(tokens: Any, weights: Any, plan: routing.Plan) -> Any:
    """The same as textbooks have it; dropped tokens share a slot behind the last."""
    count, depth = ops.size(plan.choices), tokens.shape[-1]
    slots = ops.where(plan.kept, plan.slots, count)  # (N, 1)
    filled = ops.scatter(slots, tokens, (count + 1, depth))  # (R * C + 1, D)
    back = ops.take(filled, slots[:, 0], axis=0)  # (N, D); its gradient scatters
    return back * weights * ops.cast(plan.kept, back.dtype)
