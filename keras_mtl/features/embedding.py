"""The layer between packed tensors and the model: one weight and one gather per width."""

import dataclasses
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.features import saved_fingerprint
from keras_mtl.features.columns import Sequence
from keras_mtl.features.encoding import Encoding, Source
from keras_mtl.features.tensor_gather import gather_rows
from keras_mtl.layers.initialization import derive_seed, redrawn, root_seed

if TYPE_CHECKING:
    from keras_mtl.features.table import TabularFeatures


@dataclasses.dataclass
class Width:
    """The columns embedded in one width, and where in its weight each source of ids starts."""

    dim: int
    starts: dict[str, int] = dataclasses.field(default_factory=dict)
    rows: int = 0
    positions: list[int] = dataclasses.field(default_factory=list)
    offsets: list[int] = dataclasses.field(default_factory=list)
    sources: list[Source] = dataclasses.field(default_factory=list)


def lay_out(encoding: Encoding, dims: list[int]) -> list[Width]:
    """Where embedded columns and then sequences, as wide as `dims` says, find their rows."""
    widths: dict[int, Width] = {}
    for position, column in enumerate((*encoding.categorical, *encoding.sequences)):
        width = widths.setdefault(dims[position], Width(dims[position]))
        name = encoding.source_name(column)
        names = [name]
        if isinstance(column, Sequence) and column.ngrams:
            names.append(encoding.ngram_source_name(column))
        for source in names:
            if source not in width.starts:
                width.starts[source] = width.rows
                width.rows += encoding.sources[source].size
        if position < len(encoding.categorical):
            width.positions.append(position)
            width.offsets.append(width.starts[name])
            width.sources.append(encoding.sources[name])
    return list(widths.values())


@keras_mtl_export
class TabularEmbedding(keras.layers.Layer):
    """Packed tensors -> the vector of each row; `table` is the adapted table it belongs to.

    x = [E_d[id_f + start_f] for every width d and column f in it, sequences, numbers]; see
    `TabularFeatures` and `Sequence` for the symbols. An id outside its own column's vocabulary is
    read as an unknown value (where values are hashed or cut into bins, as a missing one), never as
    the row of another column.

    Args:
        table: An adapted `TabularFeatures`.
        concatenate: Whether to return (B, D), or a dict by column.
        seed: Seed of the initial embeddings; None takes the table's.

    Input shape: a dict, "categorical" (B, F), "numeric" (B, N), (B, S) by name of a sequence, with
    n-grams (B, S, 1 + G).
    Output shape: (B, D); or by column (B, dim), (B, S, dim) of an unpooled sequence, of a number
    (B, dim + 1), or as wide as its `encoding` says.

    Raises:
        ValueError: Where an unpooled sequence should be concatenated, or the table is not adapted.

    Example:

    >>> from keras_mtl.features import TabularFeatures
    >>> table = TabularFeatures(categorical=["city"]).adapt({"city": np.array(["Rome", "Oslo"])})
    >>> TabularEmbedding(table)({"categorical": np.array([[2], [3], [0]])}).shape[-1]
    8
    """

    def __init__(
        self,
        table: "TabularFeatures",
        concatenate: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        table.embedded = True
        self.concatenate = concatenate
        self.seed = seed
        whole = [s.name for s in table.encoding.sequences if s.pooling is None]
        if concatenate and whole:
            raise ValueError(
                "Argument `concatenate` must be False where a sequence has pooling=None. "
                f"Received: concatenate=True, unpooled sequences={whole}"
            )
        encoding = table.encoding
        dims = [table.dim(column) for column in (*encoding.categorical, *encoding.sequences)]
        self._widths = lay_out(encoding, dims)

    def build(self, input_shape: dict[str, Any]) -> None:
        """Creates one weight (rows, dim) per width."""
        self._embeddings = [
            self.add_weight(
                name=f"embeddings_{width.dim}",
                shape=(width.rows, width.dim),
                initializer=lambda shape, dtype=None, width=width: self._draw(width, dtype),
                regularizer=self.table.embeddings_regularizer,
                # rows are cast after the gather: casting the weight would touch all of it
                autocast=False,
            )
            for width in self._widths
        ]

    def _draw(self, width: Width, dtype: Any) -> Any:
        """Every source's rows, drawn by its name; missing and unknown values start at zero."""
        initializer = self.table.embeddings_initializer
        seed = root_seed(self.table.seed if self.seed is None else self.seed, initializer)
        blocks = []
        for name in width.starts:
            source = self.table.encoding.sources[name]
            draw = redrawn(initializer, derive_seed(seed, name))
            drawn = draw((source.size, width.dim), dtype=dtype)
            known = np.arange(source.size)[:, None] >= source.reserved  # (rows, 1)
            blocks.append(ops.where(known, drawn, ops.zeros_like(drawn)))
        return ops.concatenate(blocks, axis=0)  # (rows, D)

    def call(self, inputs: dict[str, Any]) -> Any:
        """Looks ids up, pools sequences, appends numbers."""
        categories = [
            self._gather(index, self._local_ids(width, inputs["categorical"]))
            for index, width in enumerate(self._widths)
            if width.positions
        ]  # (B, F, D) each
        sequences = {
            s.name: self._sequence(s, inputs[s.name]) for s in self.table.encoding.sequences
        }
        numbers = inputs.get("numeric")
        if self.concatenate:
            flat = [ops.reshape(c, (-1, c.shape[1] * c.shape[2])) for c in categories]
            last = [] if numbers is None else [numbers]
            return ops.concatenate([*flat, *sequences.values(), *last], axis=-1)  # (B, D)
        return self._by_column(categories, numbers) | sequences

    def _local_ids(self, width: Width, ids: Any) -> Any:
        """The rows in this width's weight, of the columns that have this width."""
        if len(width.positions) < ids.shape[1]:
            ids = ops.take(ids, np.array(width.positions), axis=1)
        sizes = np.array([source.size for source in width.sources], np.int32)
        unknown = np.array([source.unknown for source in width.sources], np.int32)
        return _inside(ids, sizes, unknown) + np.array(width.offsets, np.int32)  # (B, F)

    def _gather(self, index: int, rows: Any) -> Any:
        vectors = gather_rows(self._embeddings[index], rows)
        return ops.cast(vectors, self.compute_dtype)  # (B, ..., D)

    def _sequence(self, sequence: Sequence, packed: Any) -> Any:
        encoding = self.table.encoding
        name, ids = encoding.source_name(sequence), self._entry_ids(sequence, packed)
        index = next(i for i, width in enumerate(self._widths) if name in width.starts)
        starts = self._widths[index].starts
        vectors = self._gather(index, ids + starts[name])  # (B, S, D)
        if sequence.ngrams:
            source = encoding.ngram_source_name(sequence)
            ngrams = self._known_ids(source, packed[..., 1:])  # (B, S, G)
            vectors += self._ngram_mean(index, starts[source], ngrams)
        if sequence.pooling is None:
            return vectors
        present = ops.cast(ids > 0, vectors.dtype)[..., None]  # (B, S, 1)
        total = ops.sum(vectors * present, axis=1)  # (B, D)
        return total / ops.maximum(ops.sum(present, axis=1), 1)

    def _entry_ids(self, sequence: Sequence, packed: Any) -> Any:
        """The ids of a sequence's entries (B, S), without those of their n-grams."""
        ids = packed[..., 0] if sequence.ngrams else packed
        return self._known_ids(self.table.encoding.source_name(sequence), ids)

    def _known_ids(self, name: str, ids: Any) -> Any:
        source = self.table.encoding.sources[name]
        return _inside(ids, np.int32(source.size), np.int32(source.unknown))

    def _ngram_mean(self, index: int, start: int, ids: Any) -> Any:
        present = ops.cast(ids > 0, self.compute_dtype)  # (B, S, G)
        share = present / ops.maximum(ops.sum(present, axis=-1, keepdims=True), 1)
        return ops.einsum("bsg,bsgd->bsd", share, self._gather(index, ids + start))

    def _by_column(self, categories: list[Any], numbers: Any) -> dict[str, Any]:
        encoding = self.table.encoding
        vectors = {}
        gathered = [width for width in self._widths if width.positions]
        for width, values in zip(gathered, categories, strict=True):
            for place, position in enumerate(width.positions):
                vectors[encoding.categorical[position].name] = values[:, place]  # (B, D)
        start = 0
        for column in encoding.standardized:
            end = start + encoding.standardizations[column.name].width
            own = numbers[:, start:end]  # (B, 1 or 2)
            bins = [vectors[column.name]] if column.binned else []  # (B, D)
            vectors[column.name] = ops.concatenate([*bins, own], axis=-1)
            start = end
        return vectors

    def compute_output_shape(self, input_shape: dict[str, Any]) -> Any:
        """(B, D), or shapes by column."""
        batch = next(iter(input_shape.values()))[0]
        encoding, dim = self.table.encoding, self.table.dim
        shapes = {column.name: (batch, dim(column)) for column in encoding.categorical}
        for sequence in encoding.sequences:
            length = (sequence.max_length,) if sequence.pooling is None else ()
            shapes[sequence.name] = (batch, *length, dim(sequence))
        for column in encoding.standardized:
            bins = dim(column) if column.binned else 0
            shapes[column.name] = (batch, bins + encoding.standardizations[column.name].width)
        if self.concatenate:
            return batch, sum(shape[-1] for shape in shapes.values())
        return shapes

    def compute_mask(self, inputs: dict[str, Any], previous_mask: Any = None) -> Any:
        """Where an unpooled sequence holds an entry; None for everything else."""
        if self.concatenate:
            return None
        masks = dict.fromkeys(column.name for column in self.table.columns)
        return masks | {
            s.name: self._entry_ids(s, inputs[s.name]) > 0
            for s in self.table.encoding.sequences
            if s.pooling is None
        }

    def save_own_variables(self, store: Any) -> None:
        """Weights, and the fingerprint of the table whose ids they embed."""
        super().save_own_variables(store)
        saved_fingerprint.keep(self.table.fingerprint, store)

    def load_own_variables(self, store: Any) -> None:
        """What `save_own_variables` kept; also from a file without fingerprint."""
        super().load_own_variables(saved_fingerprint.check(self.table.fingerprint, store))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, the adapted table included."""
        return {
            **super().get_config(),
            "table": keras.saving.serialize_keras_object(self.table),
            "concatenate": self.concatenate,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TabularEmbedding":
        """The layer that `get_config` described, with a table of its own."""
        table = keras.saving.deserialize_keras_object(config["table"])
        return cls(**{**config, "table": table})


def embeddings_of(model: keras.Model) -> list[TabularEmbedding]:
    """The model's embeddings of tables, also within nested models."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, TabularEmbedding)]


def table_of(model: keras.Model) -> "TabularFeatures | None":
    """The table that a model is built on; None where raw columns are not what it can be given.

    A nested model's table counts where the outer model's inputs bear the names of packed values.
    """
    names = {tensor.name for tensor in model.inputs}
    tables = (
        layer.table
        for layer in embeddings_of(model)
        if layer in model.layers or layer.table.encoding.shapes().keys() <= names
    )
    return next(tables, None)


def _inside(ids: Any, sizes: Any, unknown: Any) -> Any:
    """The ids; `unknown` for those outside [0, sizes), which are rows of other columns."""
    inside = ops.logical_and(ids >= 0, ids < sizes)
    return ops.where(inside, ids, unknown)
