"""`hashing` and `ngrams` in TensorFlow's graph: the same numbers, from tensors."""

import tensorflow as tf

from keras_mtl.features.hashing import MIX_SHIFT, MIXERS, MULTIPLIER
from keras_mtl.features.ngrams import FIRST_MARK, INVERSE, LAST_MARK, NgramBuckets


def hash_tensors(values: tf.Tensor) -> tf.Tensor:
    """As `hashing.hash_values`, uint64 (N,)."""
    if values.dtype == tf.int64:
        return _mix(tf.bitcast(values, tf.uint64))
    length = tf.maximum(tf.reduce_max(tf.strings.length(values)), 1)
    characters = tf.io.decode_raw(values, tf.uint8, fixed_length=length)  # (N, length)
    powers = tf.math.cumprod(tf.fill([length], tf.constant(MULTIPLIER, tf.uint64)))
    return _mix(tf.reduce_sum(tf.cast(characters, tf.uint64) * powers, axis=1))


def ngram_ids(source: NgramBuckets, words: tf.Tensor, limit: int) -> tf.Tensor:
    """As `ngrams.NgramBuckets.ids`, int32 (N, limit)."""
    marked = tf.strings.join([FIRST_MARK, words, LAST_MARK])
    text = tf.io.decode_raw(tf.strings.reduce_join(marked), tf.uint8)
    characters = tf.where(tf.bitwise.bitwise_and(text, 0xC0) != 0x80)[:, 0]  # (C,)
    rows = tf.size(words, tf.int64)
    word = tf.gather(tf.repeat(tf.range(rows), tf.strings.length(marked)), characters)  # (C,)
    ends = tf.cumsum(tf.math.unsorted_segment_sum(tf.ones_like(word), word, rows))  # (N,)
    lengths = tf.range(source.shortest, source.longest + 1, dtype=tf.int64)  # (L,)
    inside = tf.range(tf.size(word, tf.int64))[:, None] + lengths <= tf.gather(ends, word)[:, None]
    first, length = tf.unstack(tf.where(inside), axis=1)  # (G,) each, by start, then by length
    bounds = tf.concat([characters, [tf.size(text, tf.int64)]], axis=0)
    stops = tf.gather(bounds, first + tf.gather(lengths, length))
    hashes = _hash_slices(text, tf.gather(bounds, first), stops)  # (G,)
    ids = 1 + tf.cast(tf.math.floormod(hashes, tf.constant(source.buckets, tf.uint64)), tf.int32)
    row = tf.gather(word, first)
    place, kept = _places(row, rows, limit)
    cells = tf.boolean_mask(tf.stack([row, place], axis=1), kept)
    return tf.scatter_nd(cells, tf.boolean_mask(ids, kept), tf.stack([rows, limit]))  # (N, limit)


def _hash_slices(text: tf.Tensor, starts: tf.Tensor, stops: tf.Tensor) -> tf.Tensor:
    """The hashes, uint64 (G,), of the bytes from each start up to its stop."""
    powers = tf.math.cumprod(tf.fill(tf.shape(text), tf.constant(MULTIPLIER, tf.uint64)))
    sums = tf.pad(tf.cumsum(tf.cast(text, tf.uint64) * powers), [[1, 0]])
    inverses = tf.math.cumprod(tf.fill(tf.shape(text), tf.constant(INVERSE, tf.uint64)))
    inverses = tf.pad(inverses, [[1, 0]], constant_values=tf.constant(1, tf.uint64))
    return _mix((tf.gather(sums, stops) - tf.gather(sums, starts)) * tf.gather(inverses, starts))


def _places(row: tf.Tensor, rows: tf.Tensor, limit: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The place of every n-gram in its row, and which are kept: of too many, not the middle."""
    counts = tf.math.unsorted_segment_sum(tf.ones_like(row), row, rows)  # (N,)
    overflow = tf.gather(tf.maximum(counts - limit, 0), row)  # (G,)
    place = tf.range(tf.size(row, tf.int64)) - tf.gather(tf.cumsum(counts, exclusive=True), row)
    head = (limit + 1) // 2
    kept = (place < head) | (place >= head + overflow)
    return tf.where(place < head, place, place - overflow), kept


def _mix(hashes: tf.Tensor) -> tf.Tensor:
    shift = tf.constant(MIX_SHIFT, tf.uint64)
    for multiplier in MIXERS:
        hashes = tf.bitwise.bitwise_xor(hashes, tf.bitwise.right_shift(hashes, shift))
        hashes *= tf.constant(multiplier, tf.uint64)
    return tf.bitwise.bitwise_xor(hashes, tf.bitwise.right_shift(hashes, shift))
