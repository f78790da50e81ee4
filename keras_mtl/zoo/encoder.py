"""The two halves of a transformer's layer, each added to what came in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from keras_mtl.layers import SwitchFFN
from keras_mtl.layers.initialization import derive_seed
from keras_mtl.layers.seeded_attention import SeededAttention
from keras_mtl.zoo.building import Network


@dataclass(frozen=True)
class Encoder:
    """Layers of one width, with norms first.

    Attributes:
        network: activation, dropout, regulariser and seed of all parts.
        units: width of the residual stream.
        hidden_units: width inside feed-forward layers.
        num_heads: heads of each attention; `units` is a multiple of it.
    """

    network: Network
    units: int
    hidden_units: int
    num_heads: int

    def __post_init__(self) -> None:
        if self.units % self.num_heads:
            raise ValueError(
                "Argument `model_units` must be a multiple of `num_heads`. "
                f"Received: model_units={self.units}, num_heads={self.num_heads}"
            )

    def attention(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """`x + attention(norm(x))`."""
        y = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
        y = SeededAttention(
            self.num_heads,
            self.units // self.num_heads,
            dropout=self.network.dropout,
            kernel_regularizer=self.network.kernel_regularizer,
            seed=self._seed(name),
            name=name,
        )(y, y)
        return self._added(x, y, name)

    def dense(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """`x + ffn(norm(x))`, the same feed-forward layer for all tokens."""
        y = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
        y = self.linear(self.hidden_units, f"{name}_hidden", self.network.activation)(y)
        if self.network.dropout:
            y = self._dropout(f"{name}_hidden")(y)
        return self._added(x, self.linear(self.units, name)(y), name)

    def sparse(
        self, x: keras.KerasTensor, options: Mapping[str, Any], name: str
    ) -> keras.KerasTensor:
        """`x + switch(norm(x))`, one of E feed-forward layers for each token."""
        y = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
        y = SwitchFFN(
            hidden_units=self.hidden_units,
            activation=self.network.activation,
            kernel_regularizer=self.network.kernel_regularizer,
            seed=self._seed(name),
            name=name,
            **options,
        )(y)
        return self._added(x, y, name)

    def linear(self, units: int, name: str, activation: Any = None) -> keras.layers.Dense:
        """A dense layer with a seed of its own."""
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=keras.initializers.GlorotUniform(seed=self._seed(name)),
            kernel_regularizer=self.network.kernel_regularizer,
            name=name,
        )

    def _added(self, x: keras.KerasTensor, y: keras.KerasTensor, name: str) -> keras.KerasTensor:
        if self.network.dropout:
            y = self._dropout(name)(y)
        return keras.layers.Add(name=f"{name}_added")([x, y])

    def _dropout(self, name: str) -> keras.layers.Dropout:
        seed = self._seed(f"{name}_dropout")
        return keras.layers.Dropout(self.network.dropout, seed=seed, name=f"{name}_dropout")

    def _seed(self, name: str) -> int | None:
        return derive_seed(self.network.seed, name)
