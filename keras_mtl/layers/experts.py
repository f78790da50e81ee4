"""E feed-forward experts in stacked kernels."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import (
    check_choice,
    check_identifier,
    check_positive,
    check_rate,
    check_seed,
    check_units,
    unsaved_arguments,
)
from keras_mtl.layers.initialization import (
    FlatStackInitializer,
    StackedInitializer,
    derive_seed,
    get_initializer,
    reseed,
    root_seed,
)
from keras_mtl.layers.slots import Slots, take_slots
from keras_mtl.layers.task_dense import TaskDense

Shape = tuple[int | None, ...]


@keras_mtl_export
class Experts(keras.layers.Layer):
    """E feed-forward networks of one architecture, computed together.

    `f_e(x) = activation(... activation(x W_e1 + b_e1) ... W_en + b_en)` for every expert `e`, where
    layer `j` of all experts is one stacked kernel (E, D, U). Each expert starts with draws of its
    own.

    Args:
        num_experts: number of experts E.
        units: width U of the experts, or the widths of their layers, the last one being U.
        activation: activation of every layer.
        expert: a layer used in place of `units` and all options of the layers. Every expert is a
            new layer made from its configuration, with seeds of its own; the given layer itself is
            not used.
        input_slots: for inputs (..., S, D) that hold one vector a slot, the slot that each expert
            reads, E integers; `None` where all experts read one input (..., D).
        normalization: `"batch"` or `"layer"` to normalise each layer before its activation,
            every expert by itself; or `None`.
        dropout: rate of units dropped after every activation while training, in [0, 1).
        kernel_initializer: initializer of one expert's kernel (D, U).
        bias_initializer: initializer of one expert's bias (U,), or of the shift that takes its
            place in batch normalisation.
        kernel_regularizer: regulariser of one expert's kernel; their sum is the penalty.
        seed: seed of the initial weights and of the dropout.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        `(..., D)`, or `(..., S, D)` with `input_slots`.

    Output shape:
        `(..., E, U)`.

    Raises:
        ValueError: if a size is not positive, a rate not in [0, 1), neither `units` nor `expert` is
            given, or `input_slots` does not name a slot of the input for every expert.

    Example:
        >>> import keras
        >>> experts = Experts(num_experts=4, units=(16, 8))
        >>> tuple(experts(keras.ops.ones((5, 3))).shape)
        (5, 4, 8)

    Reference:
        The experts `f_i` of Ma et al., Modeling Task Relationships in Multi-task Learning with
        Multi-gate Mixture-of-Experts, KDD 2018, equation 6: identical networks with ReLU.
        Normalisation and dropout are not in the paper.
    """

    def __init__(
        self,
        num_experts: int,
        units: int | Sequence[int] | None = None,
        activation: Any = "relu",
        expert: keras.layers.Layer | None = None,
        input_slots: Sequence[int] | None = None,
        normalization: str | None = None,
        dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_experts = check_positive("num_experts", num_experts)
        if units is None and expert is None:
            raise ValueError("Argument `units` is needed without `expert`. Received: units=None")
        self.units = None if units is None else check_units("units", units)
        self.activation = check_identifier("activation", keras.activations.get, activation)
        self.input_slots = check_input_slots(input_slots, self.num_experts)
        self.normalization = check_choice("normalization", normalization, (None, "batch", "layer"))
        self.dropout = check_rate("dropout", dropout)
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.bias_initializer = get_initializer(bias_initializer, "bias_initializer")
        self.kernel_regularizer = check_identifier(
            "kernel_regularizer", keras.regularizers.get, kernel_regularizer
        )
        self.seed = check_seed(seed)
        self.supports_masking = True
        # Kept as a configuration, so that the given layer's own weights do not become ours.
        self._expert = expert_config(expert)
        self._widths = () if expert is not None or self.units is None else self.units
        self.copies = copies_of(self._expert, self.num_experts, seed) if self._expert else []
        self.dense = self._make_dense()
        self.norms = self._make_norms()
        self.seed_generator = None
        if self.dropout and self._widths:
            self.seed_generator = keras.random.SeedGenerator(derive_seed(seed, "dropout"))

    def _make_dense(self) -> list[TaskDense]:
        root = root_seed(self.seed, self.kernel_initializer)
        return [
            TaskDense(
                self.num_experts,
                width,
                use_bias=self.normalization != "batch",  # the norm would take it away again
                task_inputs=depth > 0 or self.input_slots is not None,
                kernel_initializer=self.kernel_initializer,
                bias_initializer=self.bias_initializer,
                kernel_regularizer=self.kernel_regularizer,
                seed=derive_seed(root, f"dense_{depth}"),
                dtype=self.dtype_policy,
                name=f"dense_{depth}",
            )
            for depth, width in enumerate(self._widths)
        ]

    def _make_norms(self) -> list[keras.layers.Layer]:
        """Layers that see the experts' units side by side, (R, E * U): one column set an expert."""
        names = [f"normalization_{depth}" for depth in range(len(self._widths))]
        if self.normalization == "batch":
            # Statistics of the global batch, or those of the replicas drift apart.
            replicated = keras.backend.backend() == "tensorflow"
            return [
                keras.layers.BatchNormalization(
                    synchronized=replicated,
                    beta_initializer=self._shift_initializer(name),
                    dtype=self.dtype_policy,
                    name=name,
                )
                for name in names
            ]
        if self.normalization == "layer":
            return [
                keras.layers.GroupNormalization(
                    groups=self.num_experts, dtype=self.dtype_policy, name=name
                )
                for name in names
            ]
        return []

    def _shift_initializer(self, name: str) -> FlatStackInitializer:
        """Of the shifts that stand in place of biases."""
        root = root_seed(self.seed, self.bias_initializer)
        stacked = StackedInitializer(self.bias_initializer, root, name)
        return FlatStackInitializer(stacked, self.num_experts)

    def build(self, input_shape: Shape) -> None:
        """Builds the layers of the experts."""
        shape = input_shape
        if self.input_slots is not None:
            check_slots_in_shape(self.input_slots, input_shape)
            shape = (*input_shape[:-2], input_shape[-1])  # (..., D)
        for copy in self.copies:
            # A symbolic call: also a layer without a `build` of its own then has its weights.
            copy(keras.KerasTensor((None, *shape[1:]), dtype=self.compute_dtype))
        shape = (*shape[:-1], self.num_experts, shape[-1])  # (..., E, D)
        for depth, dense in enumerate(self.dense):
            dense.build(shape if dense.task_inputs else input_shape)
            shape = (*shape[:-1], dense.units)  # (..., E, U)
            if self.norms:
                self.norms[depth].build((None, self.num_experts * dense.units))

    def call(
        self, inputs: Any, training: bool | None = None, mask: Any = None, slots: Slots = None
    ) -> Any:
        """Returns the outputs of all experts; rows that `mask` hides do not count in statistics.

        With `slots` those of some experts alone, as a `SlotLayer` does.
        """
        if self.copies:
            return self._call_copies(inputs, slots)
        x = inputs
        if self.input_slots is not None and slots is None:
            in_order = in_blocks(self.input_slots, inputs.shape[-2])
            x = x if in_order else ops.take(x, self.input_slots, axis=-2)  # (..., E, D)
        for depth, dense in enumerate(self.dense):
            x = dense(x, slots=slots)  # (..., E, U)
            if self.norms and slots is not None:
                x = self._normalize_slots(self.norms[depth], x, slots)
            elif self.norms:
                x = self._normalize(self.norms[depth], x, training, mask)
            x = self.activation(x)
            if self.dropout and training:
                x = keras.random.dropout(x, self.dropout, seed=self.seed_generator)
        return x

    def source_slots(self, slots: Slots) -> Slots:
        """Returns the input slot of each of the experts, or `None` where all read one input."""
        if slots is None or self.input_slots is None:
            return None
        return tuple(self.input_slots[slot] for slot in slots)

    def _call_copies(self, inputs: Any, slots: Slots) -> Any:
        copies = self.copies if slots is None else [self.copies[slot] for slot in slots]
        if self.input_slots is None:
            outputs = [copy(inputs) for copy in copies]
        else:
            sources = self.input_slots if slots is None else range(len(slots))
            pairs = zip(copies, sources, strict=True)
            outputs = [copy(inputs[..., source, :]) for copy, source in pairs]
        return ops.cast(ops.stack(outputs, axis=-2), self.compute_dtype)  # (..., E, U)

    def _normalize(self, norm: keras.layers.Layer, x: Any, training: bool | None, mask: Any) -> Any:
        flat = ops.reshape(x, (-1, self.num_experts * x.shape[-1]))  # (R, E * U)
        if self.normalization == "batch":
            rows = None if mask is None else ops.reshape(mask, (-1,))  # (R,)
            flat = norm(flat, training=training, mask=rows)
        else:
            flat = norm(flat)
        return ops.reshape(flat, ops.shape(x))  # (..., E, U)

    def _normalize_slots(self, norm: keras.layers.Layer, x: Any, slots: tuple[int, ...]) -> Any:
        """What `_normalize` gives at inference, for some of the experts: Keras' layers need all."""

        def own(weight: Any) -> Any:
            return take_slots(ops.reshape(weight, (self.num_experts, -1)), slots)  # (K, U)

        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        if self.normalization == "batch":
            mean, variance = own(norm.moving_mean), own(norm.moving_variance)  # (K, U)
        else:
            mean, variance = ops.moments(x, axes=-1, keepdims=True)  # (..., K, 1)
        scale = own(norm.gamma) * ops.rsqrt(variance + norm.epsilon)
        shift = own(norm.beta) - mean * scale
        return ops.cast(x * scale + shift, self.compute_dtype)  # (..., K, U)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (..., E, U)."""
        rows = input_shape[: -1 if self.input_slots is None else -2]
        if self.copies:
            *rows, units = self.copies[0].compute_output_shape((*rows, input_shape[-1]))
        else:
            units = self._widths[-1]
        return (*rows, self.num_experts, units)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "expert": self._expert,
            "input_slots": self.input_slots,
            "normalization": self.normalization,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }


def expert_config(expert: Any) -> dict[str, Any] | None:
    """The configuration of a layer, or of what already is one; None stays None."""
    if isinstance(expert, keras.Layer):
        _check_parts(expert)
        return keras.layers.serialize(expert)
    if expert is not None and not (isinstance(expert, dict) and "class_name" in expert):
        raise ValueError(f"Argument `expert` must be a layer or None. Received: expert={expert!r}")
    return expert


def _check_parts(expert: keras.layers.Layer) -> None:
    """Raises `ValueError` for a user's initializer, say, that would not be the same in a copy."""
    kinds = keras.initializers.Initializer | keras.regularizers.Regularizer
    for layer in expert._flatten_layers():
        for attribute, value in vars(layer).items():
            unsaved = unsaved_arguments(value) if isinstance(value, kinds) else []
            if unsaved:
                raise ValueError(
                    "Argument `expert` must be a layer that its configuration tells all of: the "
                    f"`get_config` of {type(value).__name__}, its `{attribute}`, must hold every "
                    f"argument of its constructor. Received: no {', '.join(unsaved)} in it"
                )


def copies_of(
    expert: dict[str, Any], num_experts: int, seed: int | None
) -> list[keras.layers.Layer]:
    """New layers made from the configuration of one, each with a name and seeds of its own."""
    template = keras.layers.deserialize(expert)
    config = template.get_config()
    names = [f"expert_{index}" for index in range(num_experts)]
    return [
        type(template).from_config({**reseed(config, seed, name), "name": name}) for name in names
    ]


def check_input_slots(slots: Iterable[int] | None, num_experts: int) -> tuple[int, ...] | None:
    """Returns `slots` as a tuple; raises `ValueError` unless there is one slot an expert."""
    if slots is None:
        return None
    listed = list(slots) if isinstance(slots, Iterable) else []
    if len(listed) != num_experts or not all(isinstance(s, Integral) and s >= 0 for s in listed):
        raise ValueError(
            "Argument `input_slots` must hold a slot, an integer of at least 0, for each expert. "
            f"Received: input_slots={slots!r}, num_experts={num_experts}."
        )
    return tuple(int(slot) for slot in listed)


def in_blocks(slots: tuple[int, ...], num_slots: int) -> bool:
    """Whether they are all slots in order, each as often as the others."""
    times = len(slots) // num_slots
    return slots == tuple(slot for slot in range(num_slots) for _ in range(times))


def check_slots_in_shape(slots: tuple[int, ...], input_shape: Shape) -> None:
    """Raises `ValueError` unless an input of this shape has all slots."""
    if len(input_shape) < 3 or input_shape[-2] is None or input_shape[-2] <= max(slots):
        raise ValueError(
            f"With `input_slots` the input must have the shape (..., S, D) with S > {max(slots)}. "
            f"Received: input shape {tuple(input_shape)}."
        )
