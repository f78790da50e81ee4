"""Softmax gates over experts."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import (
    check_flag,
    check_identifier,
    check_positive,
    check_seed,
    check_units,
    listed,
)
from keras_mtl.layers.initialization import derive_seed, get_initializer, root_seed
from keras_mtl.layers.slots import Slots
from keras_mtl.layers.task_dense import TaskDense

Shape = tuple[int | None, ...]


@keras_mtl_export
class Gate(keras.layers.Layer):
    """G softmax gates over E experts, always in float32.

    `g(x) = softmax(W x / temperature)`, where hidden layers may stand before the linear map `W`. A
    gate that may not see all experts takes the softmax over those it sees: the others have weight 0
    and no gradient.

    The temperature is a non-trainable weight, `temperature_weight`, so that a schedule can assign
    it while the model trains; it is saved with the model.

    Args:
        num_experts: number of experts E.
        num_gates: number of gates G.
        hidden_units: widths of hidden layers of each gate; empty for the paper's linear gate.
        temperature: initial temperature; above 1 gates become flatter, below 1 sharper.
        activation: activation of the hidden layers.
        use_bias: whether the linear map `W` has a bias; hidden layers always have one.
        gate_inputs: whether every gate reads an input of its own.
        visible: for each gate the indices of the experts it sees, or `None` if all see all.
        kernel_initializer: initializer of one gate's kernels.
        kernel_regularizer: regulariser of one gate's kernels; their sum is the penalty.
        seed: seed of the initial weights.
        **kwargs: `name` and the other arguments of `keras.layers.Layer`; `dtype` is always float32.

    Input shape:
        `(..., D)`, or `(..., G, D)` with `gate_inputs`.

    Output shape:
        `(..., G, E)`, float32; the last axis sums to 1.

    Raises:
        ValueError: if a size or the temperature is not positive, or `visible` does not give every
            gate at least one of the experts.

    Example:
        >>> import keras
        >>> visible = [(0, 2), (1, 2)]
        >>> gate = Gate(3, num_gates=2, visible=visible, kernel_initializer="zeros")
        >>> keras.ops.convert_to_numpy(gate(keras.ops.ones((1, 4)))).tolist()
        [[[0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]]

    Reference:
        Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts, KDD 2018, equation 7: linear, without bias, at temperature 1. Hidden
        layers, bias and temperature are not in the paper.
    """

    def __init__(
        self,
        num_experts: int,
        num_gates: int = 1,
        hidden_units: int | Sequence[int] = (),
        temperature: float = 1.0,
        activation: Any = "relu",
        use_bias: bool = False,
        gate_inputs: bool = False,
        visible: Sequence[Sequence[int]] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"  # half precision rounds logits to ties
        super().__init__(**kwargs)
        self.num_experts = check_positive("num_experts", num_experts)
        self.num_gates = check_positive("num_gates", num_gates)
        self.hidden_units = check_units("hidden_units", hidden_units, allow_empty=True)
        self.temperature = check_temperature("temperature", temperature)
        self.activation = check_identifier("activation", keras.activations.get, activation)
        self.use_bias = check_flag("use_bias", use_bias)
        self.gate_inputs = check_flag("gate_inputs", gate_inputs)
        self.visible = check_visible(visible, self.num_gates, self.num_experts)
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.kernel_regularizer = check_identifier(
            "kernel_regularizer", keras.regularizers.get, kernel_regularizer
        )
        self.seed = check_seed(seed)
        self.supports_masking = True
        self.dense = self._make_dense()

    def _make_dense(self) -> list[TaskDense]:
        """Hidden layers and the linear map, stacked over the gates."""
        root = root_seed(self.seed, self.kernel_initializer)
        names = [f"hidden_{depth}" for depth in range(len(self.hidden_units))] + ["logits"]
        return [
            TaskDense(
                self.num_gates,
                width,
                activation=None if name == "logits" else self.activation,
                use_bias=self.use_bias or name != "logits",
                task_inputs=self.gate_inputs or depth > 0,
                kernel_initializer=self.kernel_initializer,
                kernel_regularizer=self.kernel_regularizer,
                seed=derive_seed(root, name),
                dtype="float32",
                name=name,
            )
            for depth, (name, width) in enumerate(
                zip(names, (*self.hidden_units, self.num_experts), strict=True)
            )
        ]

    def build(self, input_shape: Shape) -> None:
        """Builds the dense layers and creates the temperature."""
        shape = input_shape
        for dense in self.dense:
            dense.build(shape)
            shape = dense.compute_output_shape(shape)
        self.temperature_weight = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(self.temperature),
            trainable=False,
            aggregation="only_first_replica",  # every replica assigns the same schedule
        )

    def call(self, inputs: Any, slots: Slots = None) -> Any:
        """Returns the weight that each gate, or those of `slots`, gives to each expert."""
        x = inputs
        for dense in self.dense:
            x = dense(x, slots=slots)  # (..., G, U), the last time (..., G, E)
        logits = x / self.temperature_weight
        if self.visible is not None:
            mask = visible_mask(self.visible, self.num_experts)  # (G, E)
            mask = mask if slots is None else mask[list(slots)]
            logits = ops.where(mask, logits, -float("inf"))
        if self.num_experts == 1:
            return 0.0 * logits + 1.0  # what the softmax, of which Keras would warn, gives
        return ops.softmax(logits, axis=-1)  # (..., G, E)

    def source_slots(self, slots: Slots) -> Slots:
        """Returns the gates' own inputs, or `None` where they share one."""
        return slots if self.gate_inputs else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (..., G, E)."""
        rows = input_shape[: -2 if self.gate_inputs else -1]
        return (*rows, self.num_gates, self.num_experts)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "num_gates": self.num_gates,
            "hidden_units": self.hidden_units,
            "temperature": self.temperature,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "gate_inputs": self.gate_inputs,
            "visible": self.visible,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }


def check_temperature(name: str, value: Any) -> float:
    """Returns a temperature as a float; raises `ValueError` unless it is positive."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0 < value < float("inf"):
        raise ValueError(
            f"Argument `{name}` must be positive and finite. Received: {name}={value!r}"
        )
    return float(value)


def check_visible(
    visible: Sequence[Sequence[int]] | None, num_gates: int, num_experts: int
) -> tuple[tuple[int, ...], ...] | None:
    """Returns `visible` as tuples; raises `ValueError` where a gate sees no expert."""
    if visible is None:
        return None
    rows = [list(row) if isinstance(row, Iterable) else [] for row in listed(visible)]
    if len(rows) != num_gates or not all(
        row and all(isinstance(expert, Integral) and expert in range(num_experts) for expert in row)
        for row in rows
    ):
        raise ValueError(
            "Argument `visible` must hold, for each gate, at least one index in [0, num_experts). "
            f"Received: visible={visible!r}, num_gates={num_gates}, num_experts={num_experts}."
        )
    return tuple(tuple(int(expert) for expert in row) for row in rows)


def visible_mask(visible: Sequence[Sequence[int]], num_experts: int) -> np.ndarray:
    """Whether a gate sees an expert, (G, E)."""
    mask = np.zeros((len(visible), num_experts), dtype=bool)  # (G, E)
    for gate, experts in enumerate(visible):
        mask[gate, list(experts)] = True
    return mask
