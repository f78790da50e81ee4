"""`TabularFeatures.encode` in TensorFlow's graph; needs TensorFlow, as `tensor_hashing` does.

Each vocabulary has a hash table of its own. One table for all columns, keyed by "column:value",
needs the joined strings: for 31 columns a served batch of 1 / 32 / 1024 rows took 0.66 / 0.79 /
3.90 ms, with a table each 0.67 / 0.74 / 2.13, with `keras.layers.StringLookup` 0.72 / 0.79 / 2.62,
without any lookup 0.63 / 0.71 / 2.07.
"""

from typing import Any

import tensorflow as tf

from keras_mtl.features.columns import Column, Numeric, Sequence
from keras_mtl.features.encoding import Encoding
from keras_mtl.features.numerics import Bins
from keras_mtl.features.reading import LARGEST, check_names
from keras_mtl.features.tensor_hashing import hash_tensors, ngram_ids
from keras_mtl.features.tensor_numbers import as_float64, without_subnormal
from keras_mtl.features.values import MISSING_INTEGER, Value, to_bytes
from keras_mtl.features.vocabulary import HashBuckets, Vocabulary

DTYPES = {"string": tf.string, "integer": tf.int64}


class TensorEncoder:
    """The same ids and numbers as `Encoding.encode`, from tensors."""

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        # outside any graph that is being traced: the tables outlive it
        with tf.init_scope():
            self._tables = {
                name: _hash_table(vocabulary)
                for name, vocabulary in encoding.vocabularies.items()
                if isinstance(vocabulary, Vocabulary)
            }

    @property
    def resources(self) -> list[Any]:
        """What an export has to track."""
        return list(self._tables.values())

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Raw columns by name: (B,), of a sequence (B, S)."""
        return {
            column.name: tf.TensorSpec(
                [None, None] if isinstance(column, Sequence) else [None],
                self._dtype(column),
                name=column.name,
            )
            for column in self.encoding.columns
        }

    def encode(self, raw: dict[str, Any]) -> dict[str, tf.Tensor]:
        """The packed tensors of raw ones."""
        check_names([column.name for column in self.encoding.columns], raw)
        columns = {column.name: self._read(column, raw) for column in self.encoding.columns}
        _check_lengths(columns)
        numbers = [c.name for c in self.encoding.columns if isinstance(c, Numeric)]
        if numbers:
            values = without_subnormal([columns[name] for name in numbers])
            columns |= zip(numbers, values, strict=True)
        packed = {}
        if self.encoding.categorical:
            ids = [self._ids(c, columns[c.name]) for c in self.encoding.categorical]
            packed["categorical"] = tf.stack(ids, axis=1)  # (B, F)
        if self.encoding.standardized:
            numbers = [columns[c.name] for c in self.encoding.standardized]
            packed["numeric"] = self._standardize(tf.stack(numbers, axis=1))  # (B, N)
        for sequence in self.encoding.sequences:
            packed[sequence.name] = self._padded_ids(sequence, columns[sequence.name])
        return packed

    def _dtype(self, column: Column) -> tf.DType:
        if isinstance(column, Numeric):
            return tf.float64
        return DTYPES[self.encoding.vocabularies[self.encoding.source_name(column)].kind]

    def _read(self, column: Column, raw: dict[str, Any]) -> Any:
        """The raw tensor of one column, checked, in the signature's dtype."""
        name = column.name
        tensor = raw[name]
        if not isinstance(tensor, tf.RaggedTensor):
            tensor = _as_tensor(name, tensor)
        rank = 2 if isinstance(column, Sequence) else 1
        if tensor.shape.rank not in (None, rank):
            shape = "(B, S)" if rank == 2 else "(B,)"
            raise ValueError(
                f"Column `{name}` must have shape {shape}. Received: shape={tensor.shape}"
            )
        dtype = self._dtype(column)
        if not _is_read_as(dtype, tensor.dtype):
            raise TypeError(
                f"Column `{name}` must be of type {dtype.name}. Received: {tensor.dtype.name}"
            )
        if dtype == tf.int64 and tensor.dtype.is_floating:
            tensor = _whole_numbers(name, tensor)
        if dtype == tf.float64:
            return as_float64(tensor)
        return tensor if dtype == tf.string else tf.cast(tensor, dtype)

    def _ids(self, column: Column, values: tf.Tensor) -> tf.Tensor:
        name = self.encoding.source_name(column)
        source = self.encoding.sources[name]
        if isinstance(source, Bins):
            bins = 1 + tf.searchsorted(tf.constant(source.edges, tf.float64), values, side="right")
            return tf.where(_present(values), bins, 0)  # (B,)
        if isinstance(source, HashBuckets):
            return _bucket_ids(source, values)
        return self._tables[name].lookup(values)

    def _standardize(self, numbers: tf.Tensor) -> tf.Tensor:
        learned = [self.encoding.standardizations[c.name] for c in self.encoding.standardized]
        log = tf.sign(numbers) * tf.math.log1p(tf.abs(numbers))  # (B, C)
        values = tf.where([known.log for known in learned], log, numbers)
        values = (values - [known.mean for known in learned]) / [known.scale for known in learned]
        values = tf.cast(values, tf.float32)
        # also where float32 cannot hold the result
        missing = ~(_present(numbers) & tf.math.is_finite(values))
        values = tf.where(missing, 0.0, values)
        pairs = tf.concat([values, tf.cast(missing, tf.float32)], axis=1)  # (B, 2C)
        order = [
            place + indicator * len(learned)
            for place, known in enumerate(learned)
            for indicator in range(known.width)
        ]
        return tf.gather(pairs, order, axis=1)  # (B, N)

    def _padded_ids(self, column: Sequence, values: Any) -> tf.Tensor:
        if isinstance(values, tf.RaggedTensor):
            ids = values.with_flat_values(self._ids(column, values.flat_values))
        else:
            ids = tf.reshape(self._ids(column, tf.reshape(values, [-1])), tf.shape(values))
        present, length = ids > 0, column.max_length
        fits = slice(-length, None) if column.keep == "last" else slice(length)
        kept = tf.ragged.boolean_mask(ids, present)[:, fits]
        if column.ngram_source is not None:
            words = tf.ragged.boolean_mask(values, present)[:, fits].flat_values
            ngrams = ngram_ids(column.ngram_source, words, column.max_ngrams)
            entries = tf.concat([kept.flat_values[:, None], ngrams], axis=1)  # (N, 1 + G)
            kept = kept.with_flat_values(entries)
        return kept.to_tensor(shape=[None, *column.packed_shape])  # (B, S) or (B, S, 1 + G)


def _present(numbers: tf.Tensor) -> tf.Tensor:
    """As `read_numbers`, where numbers are not missing."""
    return (tf.abs(numbers) <= LARGEST) & (numbers != float(MISSING_INTEGER))


def _as_tensor(name: str, value: Any) -> tf.Tensor:
    try:
        return tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Column `{name}` must be a tensor. Received: {value!r}") from error


def _check_lengths(columns: dict[str, Any]) -> None:
    """Raises `ValueError` where columns are known to be of several lengths."""
    known = {name: column.shape[0] for name, column in columns.items()}
    lengths = {name: length for name, length in known.items() if length is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Columns must have one length. Received: {lengths}")


def _is_read_as(dtype: tf.DType, given: tf.DType) -> bool:
    """Whether tensors of type `given` hold what a column of `dtype` does."""
    if tf.string in (dtype, given):
        return dtype == given
    # half of an unsigned one's values have no signed counterpart
    return (given.is_floating or given.is_integer or given.is_bool) and given != tf.uint64


def _whole_numbers(name: str, values: Any) -> Any:
    """Floats of an integer column, NaN as its marker; refuses those with a fraction."""
    if isinstance(values, tf.RaggedTensor):
        return values.with_flat_values(_whole_numbers(name, values.flat_values))
    values = tf.where(tf.math.is_nan(values), float(MISSING_INTEGER), values)
    whole = tf.reduce_all((values == tf.floor(values)) & (tf.abs(values) <= 2.0**63))
    sentence = f"Column `{name}` must hold integers. Received: floats with a fraction, or infinite"
    if tf.executing_eagerly() and not whole:
        raise TypeError(sentence)
    with tf.control_dependencies([tf.debugging.Assert(whole, [sentence])]):
        return tf.identity(values)


def _hash_table(vocabulary: Vocabulary) -> tf.lookup.StaticHashTable:
    keys = _constant((*vocabulary.missing, *vocabulary.values))
    ids = [0] * len(vocabulary.missing) + list(range(vocabulary.reserved, vocabulary.size))
    initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.constant(ids, tf.int32))
    return tf.lookup.StaticHashTable(initializer, default_value=1)


def _constant(values: tuple[Value, ...]) -> tf.Tensor:
    dtype = tf.string if isinstance(values[0], str) else tf.int64
    return tf.constant([to_bytes(v) if isinstance(v, str) else v for v in values], dtype)


def _bucket_ids(source: HashBuckets, values: tf.Tensor) -> tf.Tensor:
    missing = _constant(source.missing)
    buckets = tf.math.floormod(hash_tensors(values), tf.constant(source.buckets, tf.uint64))
    known = ~tf.reduce_any(values[:, None] == missing, axis=1)
    return tf.where(known, 1 + tf.cast(buckets, tf.int32), 0)  # (B,)
