"""Multi-gate mixture of experts."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_flag, check_positive
from keras_mtl.layers.gated_experts import GatedExperts, Shape
from keras_mtl.layers.slots import Slots


@keras_mtl_export
class MMoE(GatedExperts):
    """Multi-gate mixture of experts: tasks share the experts, each has a gate of its own.

    `f_t(x) = sum_e g_t(x)_e f_e(x)` with `g_t(x) = softmax(W_t x)`, for experts `f_e` and tasks
    `t`. With `one_gate` all tasks share one gate (OMoE), so their mixtures are equal.

    Args:
        num_tasks: number of tasks T.
        num_experts: number of experts E.
        expert_units: width U of the experts, or the widths of their layers, the last one being U.
        gate_units: widths of hidden layers of each gate; empty for the paper's linear gate.
        one_gate: whether one gate serves all tasks.
        **options: `expert`, `activation`, `normalization`, `dropout`, `kernel_initializer`,
            `bias_initializer`, `kernel_regularizer`, `gate_temperature` and `seed`, described in
            `GatedExperts`; and the arguments of `keras.layers.Layer`.

    Input shape:
        `(..., D)`.

    Output shape:
        `(..., T, U)`.

    Raises:
        ValueError: if a size is not positive or an option is out of its range.

    Example:
        >>> import keras
        >>> layer = MMoE(num_tasks=2, num_experts=4, expert_units=(16, 8))
        >>> tuple(layer(keras.ops.ones((5, 3))).shape)
        (5, 2, 8)

    Reference:
        Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, KDD 2018, equations 5 to 8. The towers `h_t` of equation 5 are left to
        the model. Hidden layers and temperature of the gates, normalisation and dropout are not in
        the paper.
    """

    def __init__(
        self,
        num_tasks: int,
        num_experts: int,
        expert_units: int | Sequence[int] | None = None,
        gate_units: int | Sequence[int] = (),
        one_gate: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(num_tasks, expert_units, gate_units, **options)
        self.num_experts = check_positive("num_experts", num_experts)
        self.one_gate = check_flag("one_gate", one_gate)
        self.experts = self._make_experts(self.num_experts)
        self.gate = self._make_gate(self.num_experts, 1 if self.one_gate else self.num_tasks)

    def build(self, input_shape: Shape) -> None:
        """Builds the experts and the gates."""
        self.experts.build(input_shape)
        self.gate.build(input_shape)

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, slots: Slots = None
    ) -> Any:
        """Returns each task's mixture of the experts, or those of `slots` as a `SlotLayer` does."""
        experts = self.experts(inputs, training=training, mask=mask)  # (..., E, U)
        if self.one_gate:
            mixture = self._mix(self.gate(inputs), experts)  # (..., 1, U)
            return ops.repeat(mixture, len(slots or range(self.num_tasks)), axis=-2)
        return self._mix(self.gate(inputs, slots=slots), experts)  # (..., T, U)

    def source_slots(self, slots: Slots) -> Slots:
        """Returns `None`: the tasks share the input."""
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (..., T, U)."""
        *rows, _, units = self.experts.compute_output_shape(input_shape)
        return (*rows, self.num_tasks, units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "one_gate": self.one_gate,
        }
