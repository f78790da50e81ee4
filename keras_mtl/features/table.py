"""TabularFeatures: raw columns -> packed tensors -> one vector, in training and when served."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import keras

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_identifier, check_positive, check_seed, did_you_mean
from keras_mtl.features.columns import Category, Column, Numeric, Sequence, VocabularyColumn
from keras_mtl.features.embedding import TabularEmbedding
from keras_mtl.features.encoding import Encoding
from keras_mtl.features.packed_columns import PackedColumns
from keras_mtl.features.reading import chunks
from keras_mtl.features.statistics import TableStatistics
from keras_mtl.features.values import Value
from keras_mtl.features.vocabulary import Vocabulary, VocabularySpec

if TYPE_CHECKING:
    import tensorflow as tf

    from keras_mtl.features.tensor_encoder import TensorEncoder

# names of packed inputs, so no column may bear them
RESERVED = ("categorical", "numeric")

KINDS = {Category: "categories", Numeric: "numbers", Sequence: "sequences"}


@keras_mtl_export
class TabularFeatures:
    """A table's columns, what was learned of them, and the way from raw data to one vector per row.

    x = [E[id_1], ..., E[id_F], pooled sequences, z_1, ..., z_N]: the embeddings of categories and
    of numbers' bins, of every sequence, and the standardised numbers (`Category`, `Numeric` and
    `Sequence` say how a value becomes id or z; a number may become both). Training reads a few
    packed tensors; columns embedded in one width have one weight and one gather. The served model
    reads the raw columns by name.

    Args:
        columns: `Category`, `Numeric` and `Sequence` objects. A bare name would not say which.
        categorical: Names (or `Category` objects) of categories.
        numeric: Names (or `Numeric` objects) of numbers.
        embedding_dim: Width of every embedding whose column does not give its own `dim`.
        embeddings_initializer: As in `keras.layers.Embedding`, drawn per vocabulary and seeded by
            its name; missing and unknown values start at zero.
        embeddings_regularizer: As in `keras.layers.Embedding`, on each weight.
        seed: Seed of the embeddings' initial values.
        name: Name of the embedding layer.

    Raises:
        ValueError: For no or duplicate columns, for a column called "categorical" or "numeric", and
            where columns that share a vocabulary disagree.

    Example:

    >>> import numpy as np
    >>> data = {"city": np.array(["Rome", "Oslo", "Rome"]), "age": np.array([30.0, 40.0, np.nan])}
    >>> table = TabularFeatures(categorical=["city"], numeric=["age"], embedding_dim=4)
    >>> packed = table.adapt(data).encode(data)
    >>> packed["categorical"].tolist(), packed["numeric"].tolist()
    ([[2, 1], [3, 2], [2, 0]], [[-1.0], [1.0], [0.0]])
    >>> table.embed().shape
    (None, 9)
    """

    def __init__(
        self,
        columns: Iterable[Column] = (),
        *,
        categorical: Iterable[str | Category] = (),
        numeric: Iterable[str | Numeric] = (),
        embedding_dim: int = 8,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        seed: int | None = None,
        name: str | None = None,
    ) -> None:
        self.columns = _check_columns(
            [
                *_listed("columns", columns),
                *(
                    Category(c) if isinstance(c, str) else c
                    for c in _listed("categorical", categorical)
                ),
                *(Numeric(c) if isinstance(c, str) else c for c in _listed("numeric", numeric)),
            ]
        )
        self.embedding_dim = check_positive("embedding_dim", embedding_dim)
        self.embeddings_initializer = _check_initializer(embeddings_initializer)
        self.embeddings_regularizer = check_identifier(
            "embeddings_regularizer", keras.regularizers.get, embeddings_regularizer
        )
        self.seed = check_seed(seed)
        self.name = name
        self.embedded = False  # a layer's weights fit what was learned
        self._specs = _vocabulary_specs(self.columns)
        self._encoding: Encoding | None = None
        self._inputs: dict[str, keras.KerasTensor] | None = None
        self._tensor_encoder: TensorEncoder | None = None

    # --- learning ---

    def adapt(self, data: Any) -> "TabularFeatures":
        """Learns vocabularies, moments and quantiles in one pass; forgets what it knew before.

        Args:
            data: A dict of arrays (B,), a DataFrame, an iterable of such chunks, or
                `TableStatistics`; with the table's columns. Others are ignored. Masked values are
                missing ones.

        Returns:
            The table.

        Raises:
            ValueError: Where a column is missing or of another length, or there are no rows; and
                after `embed`, whose weights are as large as the vocabularies.
            TypeError: Where a column's values are not what the column holds.
        """
        if self.embedded:
            raise ValueError(
                "`adapt` must come before `embed`: embeddings are as large as what was learned. "
                f"Received: adapt of {self!r}, which is embedded. Make a new table instead"
            )
        statistics = data if isinstance(data, TableStatistics) else self.statistics()
        if statistics is not data:
            for chunk in chunks(data):
                statistics.update(chunk)
        if not statistics.rows:
            raise ValueError("Argument `data` must hold at least one row. Received: 0 rows")
        self._encoding = Encoding(
            self.columns,
            statistics.vocabularies(),
            statistics.bins(),
            statistics.standardizations(),
        )
        self._inputs = None
        self._tensor_encoder = None
        return self

    def statistics(self) -> TableStatistics:
        """Empty statistics of these columns, to be filled by chunks or by workers, for `adapt`."""
        return TableStatistics(self.columns, self._specs)

    @property
    def adapted(self) -> bool:
        """Whether `adapt` was called."""
        return self._encoding is not None

    @property
    def encoding(self) -> Encoding:
        """What was learned."""
        if self._encoding is None:
            raise ValueError(f"`adapt` must be called first. Received: {self!r}, not adapted")
        return self._encoding

    @property
    def fingerprint(self) -> str:
        """Hash of columns and of what was learned; equal where packed values mean the same.

        It counts the order of columns and vocabularies, and leaves out how values are embedded
        (`dim`, `pooling`). It survives files, pickle and other processes.

        Raises:
            ValueError: Where `adapt` was not called.
        """
        return self.encoding.fingerprint

    def vocabulary(self, column: str) -> tuple[Value, ...]:
        """The values of a category or sequence that have ids 2, 3, ...: most frequent first."""
        known = {c.name: c for c in self.columns if isinstance(c, VocabularyColumn)}
        if column not in known:
            raise ValueError(
                f"Argument `column` must be a category or sequence of this table."
                f"{did_you_mean(column, known)} Received: column={column!r}, columns={list(known)}"
            )
        source = self.encoding.vocabularies[known[column].vocabulary_name]
        return source.values if isinstance(source, Vocabulary) else ()

    def dim(self, column: VocabularyColumn | Numeric) -> int:
        """The width in which a category, sequence or binned number is embedded."""
        if isinstance(column, Numeric):
            return column.dim or self.embedding_dim
        return self._specs[column.vocabulary_name].dim or self.embedding_dim

    # --- raw -> packed ---

    def encode(self, data: Any) -> PackedColumns:
        """Packed arrays, as `fit`, `evaluate` and `predict` take them.

        Args:
            data: A dict of arrays (B,), or a DataFrame, with the table's columns. Others are
                ignored. Masked values are missing ones.

        Returns:
            "categorical", int32 (B, F), "numeric", float32 (B, N), and every sequence by its name,
            int32 (B, S) or, with n-grams, (B, S, 1 + G); a group without columns has no key. The
            dict bears the table's `fingerprint`, which a model compares with that of its own table.

        Raises:
            ValueError: Where a column is missing or of another length, or `adapt` was not called.
            TypeError: Where a column's values are not what the column holds.
        """
        return self.encoding.encode(data)

    def encode_tensors(self, raw: "dict[str, tf.Tensor]") -> "dict[str, tf.Tensor]":
        """As `encode`, in TensorFlow's graph: inside `tf.data` and in a served signature.

        Args:
            raw: Tensors (B,), or (B, S) of a sequence, by column.

        Returns:
            The packed tensors.
        """
        return self._tensors().encode(raw)

    def serving_signature(self) -> "dict[str, tf.TensorSpec]":
        """What a served model reads: string, int64 or float64 (B,), or (B, S), by column."""
        return self._tensors().signature()

    def lookup_resources(self) -> list[Any]:
        """The lookup tables of `encode_tensors`, which an export has to track."""
        return self._tensors().resources

    def _tensors(self) -> "TensorEncoder":
        if self._tensor_encoder is None:
            # TensorFlow is loaded by those who use it
            from keras_mtl.features.tensor_encoder import TensorEncoder

            self._tensor_encoder = TensorEncoder(self.encoding)
        return self._tensor_encoder

    # --- packed -> vector ---

    @property
    def inputs(self) -> dict[str, keras.KerasTensor]:
        """One `keras.Input` per packed tensor, the same ones for every `embed`."""
        if self._inputs is None:
            self._inputs = {
                name: keras.Input(
                    shape, name=name, dtype="float32" if name == "numeric" else "int32"
                )
                for name, shape in self.encoding.shapes().items()
            }
        return self._inputs

    def embed(
        self, concatenate: bool = True, name: str | None = None, seed: int | None = None
    ) -> Any:
        """Embeds `inputs`; every call makes embeddings of its own.

        Args:
            concatenate: Whether to join all columns, or to hand out a dict, for a graph of one's
                own.
            name: Name of the embedding layer; the table's unless given.
            seed: Seed of the initial embeddings; the table's unless given.

        Returns:
            A KerasTensor (B, D): embeddings, pooled sequences, numbers. Or by column (B, dim), for
            an unpooled sequence (B, S, dim) with a Keras mask, for a number as wide as its
            `encoding` says.

        Raises:
            ValueError: Where an unpooled sequence should be concatenated.
        """
        layer = TabularEmbedding(self, concatenate, seed, name=name or self.name)
        return layer(self.inputs)

    # --- configuration ---

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments and all that was learned."""
        serialize = keras.saving.serialize_keras_object
        return {
            "columns": [serialize(column) for column in self.columns],
            "embedding_dim": self.embedding_dim,
            "embeddings_initializer": serialize(self.embeddings_initializer),
            "embeddings_regularizer": serialize(self.embeddings_regularizer),
            "seed": self.seed,
            "name": self.name,
            "learned": self._encoding.get_config() if self._encoding else None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TabularFeatures":
        """The table that `get_config` described, adapted if that one was."""
        arguments = {name: value for name, value in config.items() if name != "learned"}
        columns = [keras.saving.deserialize_keras_object(c) for c in arguments.pop("columns")]
        table = cls(columns, **arguments)
        if config["learned"] is not None:
            table._encoding = Encoding.from_config(config["learned"], table.columns, table._specs)
        return table

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copies, without what belongs to a graph: it is made again when needed."""
        return self.__dict__ | {"_inputs": None, "_tensor_encoder": None}

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{sum(isinstance(c, kind) for c in self.columns)} {label}"
            for kind, label in KINDS.items()
        )
        state = "adapted" if self.adapted else "not adapted"
        return f"TabularFeatures({kinds}; embedding_dim={self.embedding_dim}, {state})"


def _listed(name: str, values: Any) -> list[Any]:
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | Mapping):
        raise TypeError(f"Argument `{name}` must be a list of columns. Received: {name}={values!r}")
    return list(values)


def _check_initializer(identifier: Any) -> keras.initializers.Initializer:
    initializer = check_identifier("embeddings_initializer", keras.initializers.get, identifier)
    if not isinstance(initializer, keras.initializers.Initializer):
        raise TypeError(
            "Argument `embeddings_initializer` must name or be a Keras initializer, which a saved "
            f"model can bring back. Received: embeddings_initializer={identifier!r}"
        )
    return initializer


def _check_columns(columns: list[Any]) -> tuple[Column, ...]:
    wrong = [column for column in columns if not isinstance(column, tuple(KINDS))]
    if wrong:
        raise TypeError(
            "Argument `columns` must hold Category, Numeric and Sequence objects; plain names go "
            f"to `categorical` or `numeric`. Received: {wrong[0]!r}"
        )
    if not columns:
        raise ValueError("Argument `columns` must not be empty. Received: no column at all")
    names = [column.name for column in columns]
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"Column names must be unique. Received twice: {duplicates}")
    reserved = [name for name in names if name in RESERVED]
    if reserved:
        raise ValueError(
            f"Column names must not be those of packed inputs, {RESERVED}. Received: {reserved}"
        )
    return tuple(columns)


def _vocabulary_specs(columns: tuple[Column, ...]) -> dict[str, VocabularySpec]:
    sharing: dict[str, list[VocabularyColumn]] = defaultdict(list)
    for column in columns:
        if isinstance(column, VocabularyColumn):
            sharing[column.vocabulary_name].append(column)
    numbers = [c.name for c in columns if isinstance(c, Numeric) and c.name in sharing]
    if numbers:
        raise ValueError(
            f"Argument `vocabulary` must not be the name of a number. Received: {numbers[0]!r}"
        )
    return {name: VocabularySpec.of(name, sharers) for name, sharers in sharing.items()}
