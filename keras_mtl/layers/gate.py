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
from keras_mtl.layers.gate_groups import (
    GateGroup,
    gates_of,
    groups_by_width,
    logit_places,
    places_in,
)
from keras_mtl.layers.initialization import (
    StackedInitializer,
    derive_seed,
    get_initializer,
    root_seed,
)
from keras_mtl.layers.slots import Slots, read_slots
from keras_mtl.layers.task_dense import TaskDense, rows_of

Shape = tuple[int | None, ...]


@keras_mtl_export
class Gate(keras.layers.Layer):
    """G softmax gates over E experts, always in float32.

    `g(x) = softmax(W x / temperature)`, where hidden layers may stand before the linear map `W`. A
    gate that may not see all experts takes the softmax over those it sees, and has columns of `W`
    for these alone; the others have weight 0. A gate that sees one expert gives it weight 1, and
    has no weights of its own.

    Gates that see equally many experts are one stack: their kernels are `logits/kernel` (G, D, n),
    those of a second number of experts `logits_1/kernel`, and so on.

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
        everyone = [range(self.num_experts)] * self.num_gates
        self._groups = groups_by_width(self.visible or everyone)
        self._choosing = tuple(group for group in self._groups if group.width > 1)
        self.dense = self._make_dense()

    def _make_dense(self) -> list[TaskDense]:
        """Hidden layers, stacked over the gates that have a choice; then a linear map per group."""
        root = root_seed(self.seed, self.kernel_initializer)
        choosers = sorted(gates_of(self._choosing))
        widths = self.hidden_units if choosers else ()
        hidden = [
            self._stack(
                choosers,
                width,
                derive_seed(root, f"hidden_{depth}"),
                activation=self.activation,
                task_inputs=self.gate_inputs or depth > 0,
                name=f"hidden_{depth}",
            )
            for depth, width in enumerate(widths)
        ]
        logits = [
            self._stack(
                group.gates,
                group.width,
                derive_seed(root, "logits"),
                use_bias=self.use_bias,
                task_inputs=self.gate_inputs or bool(hidden),
                name=f"logits_{number}" if number else "logits",
            )
            for number, group in enumerate(self._choosing)
        ]
        return [*hidden, *logits]

    def _stack(
        self, gates: Sequence[int], units: int, seed: int | None, **options: Any
    ) -> TaskDense:
        initializer = self.kernel_initializer
        if self.visible is not None:  # what a gate draws does not depend on what others see
            initializer = StackedInitializer(initializer, seed, "kernel", slices=gates)
        return TaskDense(
            len(gates),
            units,
            kernel_initializer=initializer,
            kernel_regularizer=self.kernel_regularizer,
            seed=seed,
            dtype="float32",
            **options,
        )

    def build(self, input_shape: Shape) -> None:
        """Builds the dense layers and creates the temperature."""
        if self.gate_inputs and (len(input_shape) < 3 or input_shape[-2] != self.num_gates):
            raise ValueError(
                "With `gate_inputs` the input must have the shape (..., num_gates, D). "
                f"Received: input shape {tuple(input_shape)}, num_gates={self.num_gates}."
            )
        *rows, depth = input_shape[:-2] + input_shape[-1:] if self.gate_inputs else input_shape
        hidden, logits = self._parts()
        for dense in hidden:
            dense.build(_stack_shape(dense, rows, depth))
            depth = dense.units
        for dense in logits:
            dense.build(_stack_shape(dense, rows, depth))
        self.temperature_weight = self.add_weight(
            name="temperature",
            shape=(),
            initializer=keras.initializers.Constant(self.temperature),
            trainable=False,
            aggregation="only_first_replica",  # every replica assigns the same schedule
        )

    def _parts(self) -> tuple[list[TaskDense], list[TaskDense]]:
        """The hidden layers, and the linear maps of the groups that have a choice."""
        depth = len(self.dense) - len(self._choosing)
        return self.dense[:depth], self.dense[depth:]

    def call(self, inputs: Any, slots: Slots = None, experts: Sequence[int] | None = None) -> Any:
        """Returns the weight that each gate, or those of `slots`, gives to each expert.

        With `experts` the weights of those alone; they must be all that these gates see.
        """
        experts = tuple(range(self.num_experts) if experts is None else experts)
        gates = tuple(range(self.num_gates) if slots is None else slots)
        if len(experts) == 1:  # the softmax, of which Keras would warn, gives 1
            return ops.ones((len(gates), 1)) + self._zero(inputs)[..., None]  # (..., G, 1)
        logits = self._logits(inputs, gates)
        if len(logits) == 1 and _sees_all(logits[0][0], gates, experts):
            return ops.softmax(logits[0][1], axis=-1)  # (..., G, E)
        places = logit_places(self._groups, gates, experts)
        return ops.softmax(self._spread(logits, places, inputs), axis=-1)  # (..., G, E)

    def weights_by_group(self, inputs: Any) -> list[tuple[GateGroup, Any]]:
        """Returns the weights of what each gate sees alone, (..., G, n) of the gates of a group."""
        zero = self._zero(inputs)[..., None]  # (..., 1, 1)
        sure = [group for group in self._groups if group.width == 1]
        weights = [(group, ops.ones((len(group.gates), 1)) + zero) for group in sure]
        logits = self._logits(inputs, tuple(range(self.num_gates)))
        return [*weights, *((group, ops.softmax(each, axis=-1)) for group, each in logits)]

    def _logits(self, inputs: Any, gates: tuple[int, ...]) -> list[tuple[GateGroup, Any]]:
        """The groups of those of `gates` that have a choice, with their logits (..., G, n)."""
        choosers = tuple(sorted(gates_of(self._choosing)))
        asked = tuple(gate for gate in gates if gate in set(choosers))
        if not asked:
            return []
        hidden, maps = self._parts()
        x = read_slots(inputs, gates, asked) if self.gate_inputs else inputs
        for dense in hidden:
            x = dense(x, slots=places_in(choosers, asked))  # (..., G, U)
        found = []
        for whole, dense in zip(self._choosing, maps, strict=True):
            group = whole.among(asked)
            if group.gates:
                own = read_slots(x, asked, group.gates) if dense.task_inputs else x
                logits = dense(own, slots=places_in(whole.gates, group.gates))  # (..., G, n)
                found.append((group, logits / self.temperature_weight))
        return found

    def _spread(self, logits: list[tuple[GateGroup, Any]], places: np.ndarray, inputs: Any) -> Any:
        """Logits (..., G, E), where those of hidden experts are minus infinity."""
        zero = self._zero(inputs)  # (..., 1)
        flat = [ops.reshape(x, (*rows_of(x, 2), x.shape[-2] * x.shape[-1])) for _, x in logits]
        columns = ops.concatenate([*flat, zero, zero - float("inf")], axis=-1)
        return ops.take(columns, places, axis=-1)

    def _zero(self, inputs: Any) -> Any:
        """A zero for each row, (..., 1)."""
        rows = inputs[..., 0, :1] if self.gate_inputs else inputs[..., :1]
        return ops.zeros_like(rows, dtype="float32")

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


def _stack_shape(dense: TaskDense, rows: Sequence[int | None], depth: int | None) -> Shape:
    slots = (dense.num_tasks,) if dense.task_inputs else ()
    return (*rows, *slots, depth)


def _sees_all(group: GateGroup, gates: tuple[int, ...], experts: tuple[int, ...]) -> bool:
    """Whether a group is `gates`, and each of them sees `experts`, in this order."""
    return group.gates == gates and set(group.experts) == {experts}
