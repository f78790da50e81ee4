"""MoE: the sparsely-gated mixture of experts."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import keras
from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_flag, check_number, check_rate, check_units
from keras_mtl.layers import routing
from keras_mtl.layers.initialization import get_initializer
from keras_mtl.layers.sparse_layer import (
    Choice,
    Shape,
    SparseLayer,
    check_choices,
    check_factor,
)


@keras_mtl_export
class MoE(SparseLayer):
    """Experts of which every row uses the few that a noisy gate chooses.

    `y = sum_i G(x)_i f_i(x)`, `G(x) = softmax(KeepTopK(H(x), K))`, where `KeepTopK` keeps the K
    highest scores and the others have weight 0, and while training

        H(x)_i = (x W_g)_i + N(0, 1) * s_i(x),  s(x) = softplus(x W_n) + noise_epsilon,

    otherwise `H(x) = x W_g`. Only the chosen experts are computed. While training, the layer adds
    `importance_loss * CV(I)^2 + load_loss * CV(L)^2` to the loss, with `CV` the coefficient of
    variation over experts, `I_i = sum_x G(x)_i` and `L_i = sum_x P(x, i)`, where `P(x, i)` is the
    probability that `f_i` would be chosen if its noise were drawn anew. Without noise, and where
    K = E, `L` counts the rows of each expert and has no gradient.

    With `capacity_factor=None` no row is dropped. Every expert has slots for 1.5 times the average
    number of choices, plus 16. Where one is chosen more often, while hidden units are dropped, and
    for few rows, all are computed in up to 3 E blocks instead, each of one expert and with a copy
    of its kernels: as many products, but more time and memory where experts are many. Both have
    shapes that depend on the number of rows alone.

    With a number each expert takes `floor(capacity_factor * K * rows / E)` rows, and later ones get
    nothing of it: first choices come before second ones, and earlier rows before later ones.

    `fit` of a `MultiTaskModel` logs, under `moe/LAYER/`: `load_0` to `load_{E-1}`, the share of
    choices that fell on each expert (beyond 16 experts `load_min` and `load_max`), `dropped`, the
    share that found no room, `entropy` of the softmax over the scores without noise, in nats, and
    the two losses, unweighted.

    A model is data parallel on TensorFlow. On JAX, a `keras.distribution.LayoutMap` may lay the
    experts out over devices: their kernels, `.../experts/kernel_0` and so on, start with E. Give a
    capacity then: with `None`, blocks gather kernels from everywhere.

    Args:
        num_experts: number of experts E.
        expert_units: width U of the experts, or the widths of their layers, the last one being U.
        top_k: experts K that a row uses, in [2, E].
        capacity_factor: factor of the rows that an expert takes; `None` drops none.
        num_groups: groups of consecutive rows, each with capacities and losses of its own. On
            TensorFlow every replica is a group at least; on JAX a batch is one whole.
        activation: activation of all layers of the experts but the last.
        output_activation: activation of the experts' last layer; `None` is linear.
        use_bias: whether the experts' layers have biases.
        noisy: whether the gate draws noise while training.
        noise_epsilon: least deviation of the noise, in [0, 1).
        importance_loss: weight of the importance loss.
        load_loss: weight of the load loss.
        expert_dropout: rate of units dropped after every hidden activation of the experts.
        kernel_initializer: initializer of one kernel of an expert.
        gate_initializer: initializer of the gate; `None` is zeros with noise, which then spreads
            the first rows evenly, and Glorot's without, where zeros would send all rows to the
            same experts.
        kernel_regularizer: regulariser of one kernel of an expert; their sum is the penalty.
        seed: seed of weights, noise and dropout.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        `(..., D)`, and a mask (...): rows that it hides are not routed and get zero.

    Output shape:
        `(..., U)`.

    Raises:
        ValueError: if `top_k` is not in [2, num_experts], or a size or the capacity factor is not
            positive.

    Example:
        >>> import keras
        >>> layer = MoE(num_experts=8, expert_units=(16, 4), top_k=2)
        >>> tuple(layer(keras.ops.ones((5, 3))).shape)
        (5, 4)

    Reference:
        Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts
        Layer, ICLR 2017, equations 1 to 11 and appendix A (zero gates). `noise_epsilon` (0 in the
        paper) and the weight 0.01 of both losses are those of the authors' code; the paper has 0.1
        for language models. Capacities are not in the paper.
    """

    def __init__(
        self,
        num_experts: int,
        expert_units: int | Sequence[int],
        top_k: int = 2,
        capacity_factor: float | None = None,
        num_groups: int = 1,
        activation: Any = "relu",
        output_activation: Any = None,
        use_bias: bool = True,
        noisy: bool = True,
        noise_epsilon: float = 0.01,
        importance_loss: float = 0.01,
        load_loss: float = 0.01,
        expert_dropout: float = 0.0,
        kernel_initializer: Any = "glorot_uniform",
        gate_initializer: Any = None,
        kernel_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(top_k, Integral) and top_k == 1:
            raise ValueError(
                "Argument `top_k` must be in [2, num_experts]: the softmax over one kept score is "
                "1, so the gate would have no gradient. `SwitchFFN` takes the softmax over all "
                f"experts first. Received: top_k={top_k}, num_experts={num_experts}."
            )
        super().__init__(
            num_experts,
            check_units("expert_units", expert_units),
            check_choices(top_k, num_experts, least=2),
            output_activation,
            num_groups=num_groups,
            activation=activation,
            use_bias=use_bias,
            expert_dropout=expert_dropout,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            seed=seed,
            **kwargs,
        )
        self.expert_units = check_units("expert_units", expert_units)
        self.capacity_factor = check_factor("capacity_factor", capacity_factor)
        self.noisy = check_flag("noisy", noisy)
        self.noise_epsilon = check_rate("noise_epsilon", noise_epsilon)
        self.importance_loss = check_number("importance_loss", importance_loss)
        self.load_loss = check_number("load_loss", load_loss)
        if gate_initializer is None:
            gate_initializer = "zeros" if self.noisy else "glorot_uniform"
        self.gate_initializer = get_initializer(gate_initializer, "gate_initializer")
        self.gate = self.score_layer("gate", self.gate_initializer)
        self.noise_gate = (
            self.score_layer("noise_gate", get_initializer("zeros")) if self.noisy else None
        )
        self.seed_generator = self.noise_generator() if self.noisy else None

    def build(self, input_shape: Shape) -> None:
        """Builds the gate and the experts."""
        self.gate.build((None, input_shape[-1]))
        if self.noise_gate is not None:
            self.noise_gate.build((None, input_shape[-1]))
        super().build(input_shape)

    def choose(self, tokens: Any, mask: Any, training: bool) -> Choice:
        """The K experts of the highest scores, weighted by a softmax over those."""
        x = ops.cast(tokens, "float32")  # (N, D)
        clean = self.gate(x)  # (N, E)
        scores, deviations = clean, None
        if training and self.noise_gate is not None:
            deviations = ops.softplus(self.noise_gate(x)) + self.noise_epsilon  # (N, E)
            noise = keras.random.normal(ops.shape(clean), dtype="float32", seed=self.seed_generator)
            scores = clean + noise * deviations
        best, experts = routing.top_k(scores, self.top_k)  # (N, K)
        weights = ops.softmax(best, axis=-1)  # (N, K)
        chosen = ops.one_hot(experts, self.num_experts, dtype="float32")  # (N, K, E)
        gates = ops.sum(chosen * weights[..., None], axis=1)  # (N, E)
        load = ops.sum(chosen, axis=1)  # (N, E)
        if deviations is not None and self.top_k < self.num_experts:
            load = routing.noisy_top_k_load(clean, scores, deviations, self.top_k)
        losses = {
            name: routing.squared_variation(routing.sum_over_tokens(values, self.num_groups, mask))
            for name, values in (("importance_loss", gates), ("load_loss", load))
        }
        return Choice(weights, experts, ops.softmax(clean, axis=-1), losses)

    def capacity(self, training: bool) -> tuple[float | None, int]:
        """The same factor always."""
        return self.capacity_factor, 1

    def loss_weights(self) -> Mapping[str, float]:
        """The importance and the load loss."""
        return {"importance_loss": self.importance_loss, "load_loss": self.load_loss}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "expert_units": self.expert_units,
            "capacity_factor": self.capacity_factor,
            "output_activation": keras.activations.serialize(self.output_activation),
            "noisy": self.noisy,
            "noise_epsilon": self.noise_epsilon,
            "importance_loss": self.importance_loss,
            "load_loss": self.load_loss,
            "gate_initializer": keras.initializers.serialize(self.gate_initializer),
        }
