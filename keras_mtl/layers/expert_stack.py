"""ExpertStack: E feed-forward experts, each on rows of its own."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_mtl.layers.initialization import StackedInitializer, derive_seed
from keras_mtl.layers.regularization import stacked_regularizer
from keras_mtl.layers.routing import owned


class ExpertStack(keras.layers.Layer):
    """Part of the sparse layers: stacked kernels, applied to the rows that were sent to them.

    `f_e(x) = ... activation(x W_e1 + b_e1) W_e2 + b_e2 ...`, the last layer with
    `output_activation`; units of None are as many as the input's. `Experts` gives every expert all
    rows. Here row r of slots is that of expert `experts[r]`.

    Input shape:
        `(R, C, D)`: C slots in each of R rows; R = E without `experts`.

    Output shape:
        `(R, C, U)`.
    """

    def __init__(
        self,
        num_experts: int,
        units: tuple[int | None, ...],
        *,
        activation: Callable[[Any], Any],
        output_activation: Callable[[Any], Any],
        use_bias: bool,
        dropout: float,
        kernel_initializer: Any,
        kernel_regularizer: Any,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_experts = num_experts
        self.units = units
        self.activation = activation
        self.output_activation = output_activation
        self.use_bias = use_bias
        self.dropout = dropout
        self.kernel_initializer = kernel_initializer
        self.kernel_regularizer = kernel_regularizer
        self.seed = seed
        self.seed_generator = None
        self.drops_units = bool(dropout) and len(units) > 1  # hidden ones alone
        if dropout:
            self.seed_generator = keras.random.SeedGenerator(derive_seed(seed, "dropout"))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates a kernel (E, D, U), and a bias (E, U), a layer."""
        self.kernels: list[Any] = []
        self.biases: list[Any] = []
        depth = input_shape[-1]
        for number, width in enumerate(self.units):
            name = f"kernel_{number}"
            units = width or input_shape[-1]
            kernel = self.add_weight(
                name=name,
                shape=(self.num_experts, depth, units),
                initializer=StackedInitializer(self.kernel_initializer, self.seed, name),
                regularizer=stacked_regularizer(self.kernel_regularizer),
            )
            self.kernels.append(kernel)
            if self.use_bias:
                shape = (self.num_experts, units)
                bias = self.add_weight(name=f"bias_{number}", shape=shape, initializer="zeros")
                self.biases.append(bias)
            depth = units

    def call(self, rows: Any, experts: Any = None, training: bool | None = None) -> Any:
        """Returns what each row's expert makes of its slots."""
        x = rows
        last = len(self.units) - 1
        for number, kernel in enumerate(self.kernels):
            x = ops.matmul(x, owned(kernel, experts))  # (R, C, U)
            if self.use_bias:
                x = x + owned(self.biases[number], experts)[:, None]  # (R, C, U)
            x = self.output_activation(x) if number == last else self.activation(x)
            if self.drops_units and training and number < last:
                x = keras.random.dropout(x, self.dropout, seed=self.seed_generator)
        return x

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns (R, C, U)."""
        return (*input_shape[:-1], self.units[-1] or input_shape[-1])
