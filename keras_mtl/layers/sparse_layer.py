"""What the layers that send tokens to few of their experts have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras
from keras import ops

from keras_mtl.checks import (
    check_flag,
    check_identifier,
    check_number,
    check_positive,
    check_rate,
    check_seed,
)
from keras_mtl.layers import routing
from keras_mtl.layers.expert_stack import ExpertStack
from keras_mtl.layers.initialization import derive_seed, get_initializer, root_seed, seeded
from keras_mtl.layers.routing_records import RoutingRecord, is_recorded, record

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Choice:
    """What a router chose, in float32.

    Attributes:
        weights: factors of the chosen experts' outputs, (N, K).
        experts: the chosen experts, best first, (N, K).
        probabilities: softmax over all experts, (N, E).
        losses: what keeps experts in balance, one a group (G,), by name.
    """

    weights: Any
    experts: Any
    probabilities: Any
    losses: Mapping[str, Any]


class SparseLayer(keras.layers.Layer):
    """Base of `MoE` and `SwitchFFN`: tokens, groups, experts, losses, records.

    Args:
        num_experts: number of experts E.
        units: widths of each expert's layers; None is the width of the input.
        top_k: experts K that a token is sent to.
        output_activation: activation of the experts' last layer.
        num_groups: number of groups of consecutive tokens; losses and capacities are a group's.
        activation: activation of the experts' other layers.
        use_bias: whether the experts' layers have biases.
        expert_dropout: rate of units dropped after every hidden activation.
        kernel_initializer: initializer of one expert's kernel.
        kernel_regularizer: regulariser of one expert's kernel; their sum is the penalty.
        seed: seed of weights, noise and dropout.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(
        self,
        num_experts: int,
        units: tuple[int | None, ...],
        top_k: int,
        output_activation: Any,
        /,
        *,
        num_groups: int,
        activation: Any,
        use_bias: bool,
        expert_dropout: float,
        kernel_initializer: Any,
        kernel_regularizer: Any,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_experts = check_positive("num_experts", num_experts)
        self.top_k = top_k
        self.num_groups = check_positive("num_groups", num_groups)
        self.activation = check_identifier("activation", keras.activations.get, activation)
        self.output_activation = check_identifier(
            "output_activation", keras.activations.get, output_activation
        )
        self.use_bias = check_flag("use_bias", use_bias)
        self.expert_dropout = check_rate("expert_dropout", expert_dropout)
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.kernel_regularizer = check_identifier(
            "kernel_regularizer", keras.regularizers.get, kernel_regularizer
        )
        self.seed = check_seed(seed)
        self.supports_masking = True
        self._root_seed = root_seed(self.seed, self.kernel_initializer)
        self.experts = ExpertStack(
            self.num_experts,
            units,
            activation=self.activation,
            output_activation=self.output_activation,
            use_bias=self.use_bias,
            dropout=self.expert_dropout,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            seed=derive_seed(self._root_seed, "experts"),
            dtype=self.dtype_policy,
            name="experts",
        )

    # --- what a layer of its own decides ---

    def choose(self, tokens: Any, mask: Any, training: bool) -> Choice:
        """Whom each of the tokens (N, D) is sent to; `mask` (N,) tells which are, None for all."""
        raise NotImplementedError

    def capacity(self, training: bool) -> tuple[float | None, int]:
        """The capacity factor, None for room for all; and the least capacity."""
        raise NotImplementedError

    def loss_weights(self) -> Mapping[str, float]:
        """Factors of the losses of a `Choice`."""
        raise NotImplementedError

    # --- what they share ---

    def build(self, input_shape: Shape) -> None:
        """Builds the experts."""
        self.experts.build((self.num_experts, None, input_shape[-1]))

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """Returns the outputs of the chosen experts; tokens that `mask` hides give zero."""
        training = bool(training)
        shape = ops.shape(inputs)
        tokens = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (N, D)
        mask = None if mask is None else ops.reshape(ops.cast(mask, "bool"), (-1,))  # (N,)
        if mask is not None:  # a zero slope times NaN is NaN
            tokens = ops.where(mask[:, None], tokens, 0)
        rows = ops.shape(tokens)[0]
        if self.num_groups > 1:
            tokens, mask = in_groups(tokens, mask, self.num_groups)
        choice = self.choose(tokens, mask, training)
        y, queue, dropped = self._compute(tokens, choice, mask, training)  # (N, U)
        if training:
            self._add_losses(choice.losses)
        if is_recorded():
            self._record(choice, queue, dropped, mask)
        y = y[:rows] if self.num_groups > 1 else y
        return ops.reshape(y, (*shape[:-1], y.shape[-1]))  # (..., U)

    def _compute(
        self, tokens: Any, choice: Choice, mask: Any, training: bool
    ) -> tuple[Any, routing.Queue, Any]:
        """The outputs (N, U), who asked for which expert, and how many choices were dropped."""

        def through(plan: routing.Plan) -> Any:
            slots = routing.dispatch(tokens, plan)  # (R, C, D)
            outputs = self.experts(slots, plan.experts, training=training)  # (R, C, U)
            return routing.combine(outputs, choice.weights, plan)  # (N, U)

        factor, minimum = self.capacity(training)
        groups = 1 if factor is None else self.num_groups
        queue = routing.queue_up(choice.experts, self.num_experts, groups, mask)
        if factor is not None:
            size = ops.shape(tokens)[0] // groups
            capacity = routing.expert_capacity(size, self.num_experts, self.top_k, factor, minimum)
            dropped = ops.sum(ops.maximum(queue.counts - capacity, 0))
            return through(routing.capacity_plan(queue, capacity)), queue, dropped
        if training and self.experts.drops_units:  # JAX lets no branch draw
            return through(routing.block_plan(queue)), queue, 0
        capacity, in_place = routing.generous_capacity(queue)
        y = ops.cond(
            in_place,
            lambda: through(routing.capacity_plan(queue, capacity)),
            lambda: through(routing.block_plan(queue)),
        )
        return y, queue, 0

    def _add_losses(self, losses: Mapping[str, Any]) -> None:
        for name, weight in self.loss_weights().items():
            if weight:
                self.add_loss(weight * ops.mean(losses[name]))

    def _record(self, choice: Choice, queue: routing.Queue, dropped: Any, mask: Any) -> None:
        p = choice.probabilities  # (N, E)
        entropy = -ops.sum(p * ops.log(ops.maximum(p, 1e-30)), axis=-1)  # (N,)
        routed = ops.ones_like(entropy) if mask is None else ops.cast(mask, "float32")  # (N,)
        load = ops.sum(queue.counts, axis=0)  # (E,)
        entry = RoutingRecord(
            layer=self,
            load=ops.cast(load, "float32"),
            dropped=ops.cast(dropped, "float32"),
            entropy=ops.sum(entropy * routed),
            tokens=ops.sum(routed),
            losses={name: ops.sum(loss) for name, loss in choice.losses.items()},
            groups=self.num_groups,
        )
        record(entry)

    def score_layer(self, name: str, initializer: Any) -> keras.layers.Dense:
        """A linear map to a score an expert, in float32: half precision makes ties."""
        return keras.layers.Dense(
            self.num_experts,
            use_bias=False,
            kernel_initializer=seeded(initializer, self._root_seed, name),
            dtype="float32",
            name=name,
        )

    def softmax(self, scores: Any) -> Any:
        """Probabilities of all experts; 1 for a single one, of which Keras' softmax would warn."""
        return 0.0 * scores + 1.0 if self.num_experts == 1 else ops.softmax(scores, axis=-1)

    def noise_generator(self) -> keras.random.SeedGenerator:
        """The state of the router's random draws."""
        return keras.random.SeedGenerator(derive_seed(self._root_seed, "noise"))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Returns (..., U)."""
        return self.experts.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor that all sparse layers have."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "top_k": self.top_k,
            "num_groups": self.num_groups,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "expert_dropout": self.expert_dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "seed": self.seed,
        }


def in_groups(tokens: Any, mask: Any, num_groups: int) -> tuple[Any, Any]:
    """Tokens (N, D) and mask (N,), filled up with hidden tokens where groups would differ."""
    rows = ops.shape(tokens)[0]
    missing = -rows % num_groups
    if isinstance(missing, int) and missing == 0:
        return tokens, mask
    mask = ops.ones((rows,), "bool") if mask is None else mask
    padding = ops.zeros((missing, tokens.shape[-1]), tokens.dtype)
    tokens = ops.concatenate([tokens, padding], axis=0)
    return tokens, ops.concatenate([mask, ops.zeros((missing,), "bool")], axis=0)


def check_choices(top_k: Any, num_experts: Any, least: int) -> int:
    """Returns `top_k`; raises `ValueError` unless it lies in [least, num_experts]."""
    integer = isinstance(top_k, Integral) and not isinstance(top_k, bool)
    if not integer or not least <= top_k <= check_positive("num_experts", num_experts):
        raise ValueError(
            f"Argument `top_k` must be in [{least}, num_experts]. "
            f"Received: top_k={top_k!r}, num_experts={num_experts}."
        )
    return int(top_k)


def check_factor(name: str, value: Any) -> float | None:
    """Returns a capacity factor or None; raises `ValueError` for what is no positive number."""
    if value is None:
        return None
    if check_number(name, value) < 1e-6:
        raise ValueError(
            f"Argument `{name}` must be at least 1e-6, or None. Received: {name}={value!r}"
        )
    return float(value)
