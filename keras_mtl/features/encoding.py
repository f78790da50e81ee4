"""What a table has learned, and the packed arrays it turns raw columns into."""

import dataclasses
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from keras_mtl.features.columns import Category, Column, Numeric, Sequence, VocabularyColumn
from keras_mtl.features.fingerprint import fingerprint
from keras_mtl.features.ngrams import NgramBuckets
from keras_mtl.features.numerics import Bins, Standardization
from keras_mtl.features.packed_columns import PackedColumns, pack
from keras_mtl.features.reading import (
    check_kind,
    read_categories,
    read_numbers,
    read_sequences,
    select,
)
from keras_mtl.features.resolution import ExampleDtype, finer
from keras_mtl.features.vocabulary import HashBuckets, Vocabulary, VocabularySpec

Source: TypeAlias = Vocabulary | HashBuckets | Bins | NgramBuckets


class Encoding:
    """Vocabularies by name, moments and bins by numeric column, of an adapted table.

    Packed are `categorical`, int32 (B, F): an id for every category and binned number, in the order
    of the table's columns; `numeric`, float32 (B, N): the standardised numbers, each followed by
    its indicator of missing values if it has one; and, named after itself, int32 (B, S) for every
    sequence, or (B, S, 1 + G) with n-grams: an entry's id and theirs.
    """

    def __init__(
        self,
        columns: tuple[Column, ...],
        vocabularies: dict[str, Vocabulary | HashBuckets],
        bins: dict[str, Bins],
        standardizations: dict[str, Standardization],
    ) -> None:
        self.columns = columns
        self.vocabularies = vocabularies
        self.bins = bins
        self.standardizations = standardizations
        self.sequences = tuple(c for c in columns if isinstance(c, Sequence))
        self.sources: dict[str, Source] = {**vocabularies, **self.bins, **self._ngram_sources()}
        self.standardized = tuple(c for c in columns if isinstance(c, Numeric) and c.standardized)
        self.categorical = tuple(
            c for c in columns if isinstance(c, Category) or (isinstance(c, Numeric) and c.binned)
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of what packed values mean."""
        return fingerprint(self.columns, self.get_config())

    def source_name(self, column: Column) -> str:
        """The key in `sources`; columns with one key share ids and embeddings."""
        return column.vocabulary_name if isinstance(column, VocabularyColumn) else column.name

    def ngram_source_name(self, column: Sequence) -> str:
        """The key in `sources` of a sequence's n-grams; no column is called so."""
        return f"{column.vocabulary_name}\0{column.ngrams}\0{column.ngram_buckets}"

    def _ngram_sources(self) -> dict[str, NgramBuckets]:
        sources = {}
        for column in self.sequences:
            if column.ngram_source is not None:
                kind = self.vocabularies[column.vocabulary_name].kind
                if kind != "string":
                    raise TypeError(
                        f"Column `{column.name}` must hold strings: it has `ngrams`. "
                        f"Received: {kind}s"
                    )
                sources[self.ngram_source_name(column)] = column.ngram_source
        return sources

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the packed tensors, without the batch axis."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.categorical:
            shapes["categorical"] = (len(self.categorical),)
        if self.standardized:
            shapes["numeric"] = (sum(known.width for known in self.standardizations.values()),)
        return shapes | {column.name: column.packed_shape for column in self.sequences}

    @property
    def example_dtypes(self) -> dict[str, ExampleDtype]:
        """By numeric column, the type in which a `tf.train.Example` holds it as it is."""
        dtypes = {name: known.example_dtype for name, known in self.standardizations.items()}
        for name, known in self.bins.items():
            dtypes[name] = finer(dtypes.get(name, "float32"), known.example_dtype)
        return dtypes

    def id_sources(self, name: str) -> list[tuple[str, Source]]:
        """Column and source of the ids in a packed tensor; none of one that holds numbers.

        One for each entry of the last axis of "categorical" and of n-grams, else one for all.
        """
        if name == "categorical":
            return [(c.name, self.sources[self.source_name(c)]) for c in self.categorical]
        sequence = next((c for c in self.sequences if c.name == name), None)
        if sequence is None:
            return []
        sources = [self.sources[self.source_name(sequence)]]
        if sequence.ngram_source is not None:
            sources += [sequence.ngram_source] * sequence.max_ngrams
        return [(name, source) for source in sources]

    def encode(self, data: Any) -> PackedColumns:
        """The packed arrays of a dict of arrays or a DataFrame."""
        raw = select(data, [column.name for column in self.columns])
        rows = len(raw[self.columns[0].name])
        numbers = {
            column.name: read_numbers(column.name, raw[column.name])
            for column in self.columns
            if isinstance(column, Numeric)
        }
        packed: dict[str, np.ndarray] = {}
        if self.categorical:
            packed["categorical"] = np.empty((rows, len(self.categorical)), np.int32)
            for position, column in enumerate(self.categorical):
                packed["categorical"][:, position] = self._ids(column, raw, numbers)
        if self.standardized:
            features = [
                known.features(numbers[name]) for name, known in self.standardizations.items()
            ]
            packed["numeric"] = np.concatenate(features, axis=1)
        for sequence in self.sequences:
            packed[sequence.name] = self._padded_ids(sequence, raw[sequence.name])
        return pack(packed, self.fingerprint)

    def _ids(
        self, column: Column, raw: dict[str, Any], numbers: dict[str, np.ndarray]
    ) -> np.ndarray:
        name = column.name
        if name in self.bins:
            return self.bins[name].ids(numbers[name])
        vocabulary = self.vocabularies[self.source_name(column)]
        kind, values = read_categories(name, raw[name])
        check_kind(name, vocabulary.kind, kind)
        return vocabulary.ids(values)

    def _padded_ids(self, column: Sequence, raw: Any) -> np.ndarray:
        vocabulary = self.vocabularies[column.vocabulary_name]
        kind, values, lengths = read_sequences(column.name, raw)
        check_kind(column.name, vocabulary.kind, kind)
        ids = vocabulary.ids(values)
        present = np.flatnonzero(ids)
        row = np.repeat(np.arange(len(lengths)), lengths)[present]
        kept = np.bincount(row, minlength=len(lengths))
        ends = np.cumsum(kept)
        overflow = np.maximum(kept - column.max_length, 0) if column.keep == "last" else 0
        place = np.arange(len(row)) - (ends - kept + overflow)[row]
        fits = (place >= 0) & (place < column.max_length)
        entries = ids[present[fits]]
        if column.ngram_source is not None:
            words = [values[index] for index in present[fits].tolist()]
            ngrams = column.ngram_source.ids(words, column.max_ngrams)
            entries = np.concatenate([entries[:, None], ngrams], axis=1)
        padded = np.zeros((len(lengths), *column.packed_shape), np.int32)
        padded[row[fits], place[fits]] = entries
        return padded

    def get_config(self) -> dict[str, Any]:
        """What was learned, as lists: a column may bear any name, so names are no keys."""
        return {
            "vocabularies": [
                [name, known.kind, list(known.values) if isinstance(known, Vocabulary) else None]
                for name, known in self.vocabularies.items()
            ],
            "bins": [
                [name, list(known.edges), known.example_dtype] for name, known in self.bins.items()
            ],
            "standardizations": [
                [name, dataclasses.asdict(known)] for name, known in self.standardizations.items()
            ],
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], columns: tuple[Column, ...], specs: dict[str, VocabularySpec]
    ) -> "Encoding":
        """The encoding that `get_config` described, of the same columns."""
        vocabularies = {
            name: specs[name].vocabulary(kind, values)
            for name, kind, values in config["vocabularies"]
        }
        # earlier files have edges alone
        bins = {name: Bins(tuple(edges), *dtype) for name, edges, *dtype in config["bins"]}
        standardizations = {
            name: Standardization(**known) for name, known in config["standardizations"]
        }
        return cls(columns, vocabularies, bins, standardizations)
