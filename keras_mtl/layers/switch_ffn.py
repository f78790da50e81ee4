"""SwitchFFN: the sparse feed-forward layer of the Switch Transformer."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_number, check_positive, check_rate
from keras_mtl.layers import routing
from keras_mtl.layers.jitter import jitter_factors
from keras_mtl.layers.sparse_layer import (
    Choice,
    Shape,
    SparseLayer,
    check_choices,
    check_factor,
)

# The paper's table 3: with kernels of the usual size training diverges.
SMALL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 0.1, "mode": "fan_in", "distribution": "truncated_normal"},
}


@keras_mtl_export
class SwitchFFN(SparseLayer):
    """A feed-forward layer of E experts, of which every token uses one.

    `y = p_i(x) f_i(x)`, `p(x) = softmax(W x)`, `i = argmax p(x)`, `f_i(x) = activation(x A_i) B_i`.

    Each expert has `C = floor(capacity_factor * tokens / E)` slots, at least `min_capacity`. Tokens
    that come after its slots are filled get zero: add the layer's output to its input, as a
    transformer does, and they pass through unchanged. While training, the layer adds to the loss

        balance_loss * E sum_e f_e P_e  +  router_z_loss * mean_x (log sum_e exp (W x)_e)^2

    with `f_e` the share of tokens that chose expert e, before any was dropped, and `P_e` its mean
    probability. With `top_k` K > 1 a token uses K experts, `p` is normalised over them, capacities
    are K times as large, and first choices find room before second ones.

    `fit` of a `MultiTaskModel` logs, under `moe/LAYER/`: `load_0` to `load_{E-1}`, the share of
    tokens that asked for each expert (beyond 16 experts `load_min` and `load_max`), `dropped`, the
    share that found no room, `entropy` of the router in nats, and the losses, unweighted.

    A model is data parallel on TensorFlow. On JAX, a `keras.distribution.LayoutMap` may lay the
    experts out over devices: their kernels, `.../experts/kernel_0` and `kernel_1`, start with E.
    Give capacities then: without one, uneven loads gather kernels from everywhere.

    Args:
        num_experts: number of experts E.
        hidden_units: width of each expert's hidden layer.
        top_k: experts K that a token uses, at most E.
        capacity_factor: factor of the slots while training; `None` drops no token, at the cost
            that `MoE` describes.
        eval_capacity_factor: factor of the slots otherwise. With `None` a prediction does not
            depend on the other tokens of its batch.
        min_capacity: least number of slots of an expert.
        num_groups: groups of consecutive tokens, each with slots and a balance loss of its own.
            On TensorFlow every replica is a group at least; on JAX a batch is one whole. A last
            group with fewer tokens has as many slots.
        activation: activation of the hidden layer.
        use_bias: whether the experts have biases.
        jitter: the router's input is multiplied elementwise by draws of U(1 - jitter, 1 + jitter),
            of 256 values, while training. The experts see the input itself. Under XLA on a CPU,
            where TensorFlow draws slowly, 0 trains faster.
        expert_dropout: rate of hidden units of the experts dropped while training. The paper
            fine-tunes with 0.4 here and 0.1 elsewhere: load the weights of a layer that was
            trained without into one made with `expert_dropout`.
        balance_loss: weight of the balance loss.
        router_z_loss: weight of the router's z-loss.
        kernel_initializer: initializer of one kernel of an expert and of the router; by default
            a truncated normal of variance 0.1 / fan_in, a tenth of the usual.
        kernel_regularizer: regulariser of one kernel of an expert; their sum is the penalty.
        seed: seed of weights, jitter and dropout.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        `(..., D)`, and a mask (...): tokens that it hides are not routed and get zero.

    Output shape:
        `(..., D)`.

    Raises:
        ValueError: if `top_k` is not in [1, num_experts], a capacity factor or a size is not
            positive, or a rate not in [0, 1).

    Example:
        >>> import keras
        >>> layer = SwitchFFN(num_experts=4, hidden_units=16)
        >>> x = keras.random.normal((2, 5, 8))
        >>> tuple((x + layer(x)).shape)
        (2, 5, 8)

    Reference:
        Fedus, Zoph, Shazeer, Switch Transformers: Scaling to Trillion Parameter Models with Simple
        and Efficient Sparsity, JMLR 2022, equations 1 to 6 and section 2.4; z-loss: Zoph et al.,
        ST-MoE, 2022, equation 5. Where the paper's pseudo-code and the authors' Mesh TensorFlow
        differ, as in the jitter (added to scores there, multiplied with inputs here) and in the
        slots (C - 1 of C used there), this follows the latter. Departures: means are over real
        tokens where theirs count padding; K > 1 follows their `top_2` gating in normalising.
    """

    def __init__(
        self,
        num_experts: int,
        hidden_units: int,
        top_k: int = 1,
        capacity_factor: float | None = 1.25,
        eval_capacity_factor: float | None = 2.0,
        min_capacity: int = 4,
        num_groups: int = 1,
        activation: Any = "relu",
        use_bias: bool = False,
        jitter: float = 0.01,
        expert_dropout: float = 0.0,
        balance_loss: float = 0.01,
        router_z_loss: float = 0.0,
        kernel_initializer: Any = SMALL,
        kernel_regularizer: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_experts,
            (check_positive("hidden_units", hidden_units), None),
            check_choices(top_k, num_experts, least=1),
            None,
            num_groups=num_groups,
            activation=activation,
            use_bias=use_bias,
            expert_dropout=expert_dropout,
            kernel_initializer=kernel_initializer,
            kernel_regularizer=kernel_regularizer,
            seed=seed,
            **kwargs,
        )
        self.hidden_units = int(hidden_units)
        self.capacity_factor = check_factor("capacity_factor", capacity_factor)
        self.eval_capacity_factor = check_factor("eval_capacity_factor", eval_capacity_factor)
        self.min_capacity = check_positive("min_capacity", min_capacity)
        self.jitter = check_rate("jitter", jitter)
        self.balance_loss = check_number("balance_loss", balance_loss)
        self.router_z_loss = check_number("router_z_loss", router_z_loss)
        self.router = None  # of a single expert the probability is 1
        if self.num_experts > 1:
            self.router = self.score_layer("router", self.kernel_initializer)
        self.seed_generator = self.noise_generator() if self.jitter else None

    def build(self, input_shape: Shape) -> None:
        """Builds the router and the experts."""
        if self.router is not None:
            self.router.build((None, input_shape[-1]))
        super().build(input_shape)

    def choose(self, tokens: Any, mask: Any, training: bool) -> Choice:
        """The K most probable experts, weighted by their probabilities."""
        x = ops.cast(tokens, "float32")  # (N, D)
        if training and self.jitter:
            x = x * jitter_factors(ops.shape(x), self.jitter, self.seed_generator)
        logits = ops.zeros_like(x[:, :1]) if self.router is None else self.router(x)  # (N, E)
        probabilities = self.softmax(logits)  # (N, E)
        weights, experts = routing.top_k(probabilities, self.top_k)  # (N, K)
        first = ops.one_hot(experts[:, 0], self.num_experts, dtype="float32")  # (N, E)
        if self.top_k > 1:
            weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        sums = [
            routing.sum_over_tokens(values, self.num_groups, mask)
            for values in (first, probabilities, routing.router_z_loss(logits))
        ]
        # Every token has one first choice.
        tokens_in_group = ops.maximum(ops.sum(sums[0], axis=-1), 1.0)  # (G,)
        f, p = (total / tokens_in_group[:, None] for total in sums[:2])  # (G, E)
        z = sums[2] / tokens_in_group  # (G,)
        losses = {"balance_loss": routing.balance_loss(f, p), "router_z_loss": z}
        return Choice(weights, experts, probabilities, losses)

    def capacity(self, training: bool) -> tuple[float | None, int]:
        """The factor of training or of evaluation."""
        return self.capacity_factor if training else self.eval_capacity_factor, self.min_capacity

    def loss_weights(self) -> Mapping[str, float]:
        """The balance loss and the router's z-loss."""
        return {"balance_loss": self.balance_loss, "router_z_loss": self.router_z_loss}

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "capacity_factor": self.capacity_factor,
            "eval_capacity_factor": self.eval_capacity_factor,
            "min_capacity": self.min_capacity,
            "jitter": self.jitter,
            "balance_loss": self.balance_loss,
            "router_z_loss": self.router_z_loss,
        }
