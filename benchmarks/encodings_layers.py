"""Encodings of numbers: the package's own, and others as plain Keras layers.

In shapes, N is the number of numeric columns, P that of pieces, F that of frequencies.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.encodings_data import Problem
from keras_mtl.datasets.dataset import Split
from keras_mtl.features import Category, Numeric, TabularFeatures
from keras_mtl.features.quantiles import QuantileSummary
from keras_mtl.study.budget import trainable_count

DIM = 8  # of the embedding of a category, a bin, or a number
PIECES = 64
FREQUENCIES = 24
LEAST_RANK = 1e-4  # so that the normal quantile of the smallest number is finite
NUMBERS = "numbers"  # the input that the plain layers read


class PiecewiseLinear(keras.layers.Layer):
    """activation(v_n + sum_p e_p V_{n,p}), e_p = clip(x_n - (p - 1), 0, 1) for p = 1 ... P_n.

    x_n is the position of a number z among the knots b_0 < ... < b_P of its column, as `position`
    gives it, so that e_p = (z - b_{p-1}) / (b_p - b_{p-1}) within piece p, 0 below it, 1 above it.

    Args:
        pieces: P_n by column.
        dim: units of each column.
        activation: after the linear map; None for none.

    Input shape: (B, N).
    Output shape: (B, N * dim).

    Reference:
        Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
        Learning", NeurIPS 2022, section 3.2, equation 1, and a linear map of each column.
        Departures: the knots are the edges of this package's quantile bins; numbers beyond the
        outermost knots count as these, so that nothing is extrapolated.
    """

    def __init__(
        self, pieces: Sequence[int], dim: int = DIM, activation: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.pieces, self.dim = np.array(pieces), dim
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """A row of weights for each piece of each column."""
        fan_in = self.pieces.max()
        self.kernel = self.add_weight(
            shape=(self.pieces.sum(), self.dim), initializer=_uniform(fan_in)
        )
        self.bias = self.add_weight(
            shape=(len(self.pieces), self.dim), initializer=_uniform(fan_in)
        )

    def call(self, positions: Any) -> Any:
        """The vectors of all columns, side by side."""
        steps = np.arange(self.pieces.max(), dtype="float32")
        shares = ops.clip(positions[..., None] - steps, 0.0, 1.0)  # (B, N, P)
        vectors = ops.einsum("bnp,npu->bnu", shares, self._kernels()) + self.bias  # (B, N, U)
        vectors = self.activation(vectors)
        return ops.reshape(vectors, (-1, len(self.pieces) * self.dim))  # (B, N * U)

    def _kernels(self) -> Any:
        """(N, P, U): the columns' rows, and zeros behind those of a column with fewer pieces."""
        first = np.cumsum(self.pieces) - self.pieces
        piece = np.arange(self.pieces.max())
        row = np.where(piece < self.pieces[:, None], first[:, None] + piece, self.pieces.sum())
        zero = ops.zeros((1, self.dim), self.kernel.dtype)
        return ops.take(ops.concatenate([self.kernel, zero]), row, axis=0)


class Periodic(keras.layers.Layer):
    """relu(v_n + [sin(2 pi c_n x), cos(2 pi c_n x)] V_n), c_{n,f} drawn from N(0, sigma^2).

    Args:
        columns: N.
        sigma: standard deviation of the first frequencies, which are trained.
        frequencies: F of each column.
        dim: units of each column.

    Input shape: (B, N).
    Output shape: (B, N * dim).

    Reference:
        Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
        Learning", NeurIPS 2022, section 3.3: periodic, linear, ReLU ("PLR").
    """

    def __init__(
        self,
        columns: int,
        sigma: float,
        frequencies: int = FREQUENCIES,
        dim: int = DIM,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.columns, self.sigma, self.frequencies, self.dim = columns, sigma, frequencies, dim

    def build(self, input_shape: Any) -> None:
        """Frequencies, and a linear map for each column."""
        fan_in = 2 * self.frequencies
        self.rates = self.add_weight(
            shape=(self.columns, self.frequencies),
            initializer=keras.initializers.RandomNormal(0.0, self.sigma),
        )
        self.kernel = self.add_weight(
            shape=(self.columns, fan_in, self.dim), initializer=_uniform(fan_in)
        )
        self.bias = self.add_weight(shape=(self.columns, self.dim), initializer=_uniform(fan_in))

    def call(self, numbers: Any) -> Any:
        """The vectors of all columns, side by side."""
        angles = 2 * math.pi * numbers[..., None] * self.rates  # (B, N, F)
        waves = ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)  # (B, N, 2 * F)
        vectors = ops.relu(ops.einsum("bnf,nfu->bnu", waves, self.kernel) + self.bias)  # (B, N, U)
        return ops.reshape(vectors, (-1, self.columns * self.dim))  # (B, N * U)


def _uniform(fan_in: int) -> keras.initializers.Initializer:
    """A new one for each weight: one and the same would draw the same numbers again."""
    return keras.initializers.RandomUniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


def knots(numbers: np.ndarray, pieces: int = PIECES) -> np.ndarray:
    """b_0 < ... < b_P: the least number, the edges of the package's quantile bins, the largest."""
    summary = QuantileSummary()
    summary.update(numbers)
    inner = summary.edges(pieces)
    return np.unique(np.concatenate([[numbers.min()], inner, [numbers.max()]]))


def position(numbers: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Pieces that lie below a number, and its share of the one that it lies in."""
    return np.interp(numbers, ends, np.arange(len(ends)))


def normal_scores(numbers: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Normal quantiles of the numbers' ranks among others; in the middle of equal ones."""
    order = np.sort(among)
    below, up_to = (np.searchsorted(order, numbers, side) for side in ("left", "right"))
    rank = ((below + up_to) / (2 * len(order))).clip(LEAST_RANK, 1 - LEAST_RANK)
    return math.sqrt(2) * ops.convert_to_numpy(ops.erfinv(2 * rank - 1))


@dataclass(frozen=True)
class Features:
    """What a model reads, and how.

    Attributes:
        table: of the categories, and of the numbers where the package encodes them.
        train: arrays by input, of the rows to train on.
        valid: the same of the rows to compare by.
        layer: what reads the input `numbers`; None where there is none.
    """

    table: TabularFeatures
    train: dict[str, np.ndarray]
    valid: dict[str, np.ndarray]
    layer: keras.layers.Layer | None = None

    def represent(self) -> Any:
        """A KerasTensor (B, D), the inputs' vectors side by side."""
        vectors = self.table.embed()
        if self.layer is None:
            return vectors
        numbers = keras.Input(self.train[NUMBERS].shape[1:], name=NUMBERS)
        return keras.layers.Concatenate()([vectors, self.layer(numbers)])

    def parameters(self, representation: Any) -> int:
        """Of a representation, without the embeddings of categories."""
        inputs = keras.utils.get_source_inputs(representation)
        return trainable_count(keras.Model(inputs, representation)) - self.category_parameters

    @property
    def category_parameters(self) -> int:
        """Of the embeddings of categories, which all encodings share."""
        sources = self.table.encoding.sources
        return sum(
            sources[column.vocabulary_name].size * self.table.dim(column)
            for column in self.table.columns
            if isinstance(column, Category)
        )


def by_table(problem: Problem, encoding: str) -> Features:
    """Numbers as the package encodes them."""
    columns = [Numeric(name, encoding=encoding) for name in problem.numeric]
    return _features(problem, columns)


def by_pieces(problem: Problem, activation: str | None = None) -> Features:
    """Numbers as positions among quantile knots, for `PiecewiseLinear`."""
    columns = _numbers(problem.train, problem.numeric)
    ends = {name: knots(numbers) for name, numbers in columns.items()}
    layer = PiecewiseLinear([len(own) - 1 for own in ends.values()], activation=activation)
    return _features(problem, [], lambda name, numbers: position(numbers, ends[name]), layer)


def by_waves(problem: Problem, sigma: float) -> Features:
    """Numbers as normal scores, for `Periodic`."""
    columns = _numbers(problem.train, problem.numeric)
    layer = Periodic(len(columns), sigma)
    return _features(
        problem, [], lambda name, numbers: normal_scores(numbers, columns[name]), layer
    )


ENCODINGS: dict[str, Callable[[Problem], Features]] = {
    "standard": partial(by_table, encoding="standard"),
    "bins": partial(by_table, encoding="bins"),
    "bins+standard": partial(by_table, encoding="bins+standard"),
    "piecewise linear": by_pieces,
    "piecewise linear, ReLU": partial(by_pieces, activation="relu"),
    "periodic 0.1": partial(by_waves, sigma=0.1),
    "periodic 0.5": partial(by_waves, sigma=0.5),
}


def _features(
    problem: Problem,
    numeric: Sequence[Numeric],
    encode: Callable[[str, np.ndarray], np.ndarray] | None = None,
    layer: keras.layers.Layer | None = None,
) -> Features:
    """Both parts, as what was learned of the rows to train on encodes them."""
    table = TabularFeatures(categorical=problem.categorical, numeric=numeric, embedding_dim=DIM)
    table.adapt(problem.train.columns)

    def part(split: Split) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = dict(table.encode(split.columns))
        if encode is not None:
            columns = _numbers(split, problem.numeric)
            own = [encode(name, numbers) for name, numbers in columns.items()]
            arrays[NUMBERS] = np.stack(own, axis=-1, dtype=np.float32)  # (B, N)
        return arrays

    return Features(table, part(problem.train), part(problem.valid), layer)


def _numbers(split: Split, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns, float64 (B,); none of them has missing values."""
    columns = {name: split.columns[name].astype("float64") for name in names}
    holes = {name: count for name, n in columns.items() if (count := int(np.isnan(n).sum()))}
    if holes:
        raise ValueError(
            "Columns of numbers must have no missing values where plain layers read them. "
            f"Received: missing values by column {holes}"
        )
    return columns
