"""Gradients of gathered rows; this file owns TensorFlow, the only backend where they are sparse.

The gradient of a gather lists a row once for each of its occurrences, and optimizers square, clip
and divide what is listed. So occurrences are summed before an optimizer sees them.
"""

from typing import Any

import tensorflow as tf

# `GraphOrParentsInXlaContext` is private: a test tells when it moves.
from tensorflow.python.ops import control_flow_util

# Adam and Adagrad take a dense gradient faster up to 2^21 numbers (8,192 ids of 16 on two cores),
# SGD up to 2^20: beyond, writing the whole table costs more than listing its rows.
DENSE_SIZE = 2**20


def sum_of_occurrences(gradient: Any, dense: bool = False) -> Any:
    """The gradient, with every row at most once: dense for a small table, else distinct rows.

    Args:
        gradient: of a variable; a dense one or None is handed back.
        dense: whether it must be dense, however large the table is.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    size = gradient.shape.num_elements()
    if dense or (size is not None and size <= DENSE_SIZE):
        return tf.convert_to_tensor(gradient)  # (rows, D)
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return _sorted_rows(gradient)
    return _unique_rows(gradient)


def _unique_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    rows, slots = tf.unique(gradient.indices)  # (U,), (N,)
    sums = tf.math.unsorted_segment_sum(gradient.values, slots, tf.size(rows))  # (U, D)
    return tf.IndexedSlices(sums, rows, gradient.dense_shape)


def _sorted_rows(gradient: tf.IndexedSlices) -> tf.IndexedSlices:
    """As many rows as there are occurrences, since XLA's shapes are static.

    What is left over lies behind the table's last row: there XLA reads a zero and writes nothing.
    """
    order = tf.argsort(gradient.indices, stable=True)  # (N,)
    sorted_rows = tf.gather(gradient.indices, order)
    is_next = tf.cast(sorted_rows[1:] != sorted_rows[:-1], tf.int32)
    slots = tf.cumsum(tf.pad(is_next, [[1, 0]]))  # (N,)
    number = tf.size(slots)
    sums = tf.math.unsorted_segment_sum(tf.gather(gradient.values, order), slots, number)  # (N, D)
    rows = tf.math.unsorted_segment_min(sorted_rows, slots, number)  # the greatest number if empty
    behind = tf.cast(gradient.dense_shape[0], rows.dtype)
    return tf.IndexedSlices(sums, tf.minimum(rows, behind), gradient.dense_shape)
