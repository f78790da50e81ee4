"""What all layers that mix experts with gates have in common."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.checks import (
    check_choice,
    check_identifier,
    check_positive,
    check_rate,
    check_seed,
    check_units,
)
from keras_mtl.layers.experts import Experts, expert_config
from keras_mtl.layers.gate import Gate, check_temperature
from keras_mtl.layers.initialization import derive_seed, get_initializer, root_seed

Shape = tuple[int | None, ...]


class GatedExperts(keras.layers.Layer):
    """Base of the layers that mix experts for tasks: their options, and how children are made.

    Args:
        num_tasks: number of tasks T.
        expert_units: width U of the experts, or the widths of their layers, the last one being U.
        gate_units: widths of hidden layers of each gate; empty for the papers' linear gate.
        expert: a layer used in place of `expert_units` and all options of the experts' layers;
            every expert is a new layer made from its configuration.
        activation: activation of the experts' layers, and of hidden layers of the gates.
        normalization: `"batch"`, `"layer"` or `None`, before every activation of the experts.
        dropout: rate of units dropped after every activation of the experts, in [0, 1).
        kernel_initializer: initializer of one kernel of an expert or a gate.
        bias_initializer: initializer of one bias of an expert.
        kernel_regularizer: regulariser of one kernel of an expert; their sum is the penalty.
        gate_temperature: initial temperature of the gates' softmax.
        seed: seed of the initial weights and of the dropout.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.
    """

    shared_point = "experts"
    """The child whose output is the last one that tasks share: what follows is each task's own."""

    def __init__(
        self,
        num_tasks: int,
        expert_units: int | Sequence[int] | None = None,
        gate_units: int | Sequence[int] = (),
        *,
        expert: keras.layers.Layer | None = None,
        activation: Any = "relu",
        normalization: str | None = None,
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        gate_temperature: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_tasks = check_positive("num_tasks", num_tasks)
        if expert_units is None and expert is None:
            raise ValueError(
                "Argument `expert_units` is needed without `expert`. Received: expert_units=None"
            )
        self.expert_units = (
            None if expert_units is None else check_units("expert_units", expert_units)
        )
        self.gate_units = check_units("gate_units", gate_units, allow_empty=True)
        # Kept as a configuration, so that the given layer's own weights do not become ours.
        self._expert = expert_config(expert)
        self.activation = check_identifier("activation", keras.activations.get, activation)
        self.normalization = check_choice("normalization", normalization, (None, "batch", "layer"))
        self.dropout = check_rate("dropout", dropout)
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.bias_initializer = get_initializer(bias_initializer, "bias_initializer")
        self.kernel_regularizer = check_identifier(
            "kernel_regularizer", keras.regularizers.get, kernel_regularizer
        )
        self.gate_temperature = check_temperature("gate_temperature", gate_temperature)
        self.seed = check_seed(seed)
        self.supports_masking = True
        self._root_seed = root_seed(self.seed, self.kernel_initializer)

    def _expert_options(self) -> dict[str, Any]:
        """The options that experts take under the same name."""
        return {
            "activation": self.activation,
            "expert": self._expert,
            "normalization": self.normalization,
            "dropout": self.dropout,
            "kernel_initializer": self.kernel_initializer,
            "bias_initializer": self.bias_initializer,
            "kernel_regularizer": self.kernel_regularizer,
        }

    def _make_experts(self, num_experts: int, input_slots: Sequence[int] | None = None) -> Experts:
        return Experts(
            num_experts,
            self.expert_units,
            input_slots=input_slots,
            seed=derive_seed(self._root_seed, "experts"),
            dtype=self.dtype_policy,
            name="experts",
            **self._expert_options(),
        )

    def _make_gate(self, num_experts: int, num_gates: int, **options: Any) -> Gate:
        return Gate(
            num_experts,
            num_gates,
            hidden_units=self.gate_units,
            temperature=self.gate_temperature,
            activation=self.activation,
            kernel_initializer=self.kernel_initializer,
            seed=derive_seed(self._root_seed, "gate"),
            name="gate",
            **options,
        )

    def _mix(self, gates: Any, experts: Any) -> Any:
        """Mixtures of the experts: (..., G, E), (..., E, U) -> (..., G, U)."""
        return ops.matmul(ops.cast(gates, self.compute_dtype), experts)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "expert_units": self.expert_units,
            "gate_units": self.gate_units,
            "expert": self._expert,
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "gate_temperature": self.gate_temperature,
            "seed": self.seed,
        }
