"""Numbers as float64 in TensorFlow, as `read_numbers` reads them, the smallest ones too."""

import tensorflow as tf

from keras_mtl.features.reading import SMALLEST

_FRACTION, _EXPONENT = 0x007FFFFF, 0x7F800000  # bits of float32
_SUBNORMAL_STEP = 2.0**-149


def as_float64(numbers: tf.Tensor) -> tf.Tensor:
    """`numbers` as float64, exactly."""
    if numbers.dtype in (tf.float32, tf.bfloat16):
        return _from_float32(tf.cast(numbers, tf.float32))
    return tf.cast(numbers, tf.float64)


def without_subnormal(columns: list[tf.Tensor]) -> list[tf.Tensor]:
    """float64 columns (B,), in which numbers below the smallest normal one are 0.

    All columns at once: an operation per column is what a request waits for.
    """
    numbers = tf.stack(columns)  # (N, B)
    whole = tf.where(tf.abs(numbers) < SMALLEST, tf.zeros_like(numbers), numbers)
    return tf.unstack(whole, num=len(columns))


def _from_float32(numbers: tf.Tensor) -> tf.Tensor:
    """As a cast does, and its subnormal numbers too, which TensorFlow's processors read as 0."""
    bits = tf.bitcast(numbers, tf.int32)
    size = tf.cast(tf.bitwise.bitwise_and(bits, _FRACTION), tf.float64) * _SUBNORMAL_STEP
    subnormal = tf.where(bits < 0, -size, size)
    is_subnormal = tf.equal(tf.bitwise.bitwise_and(bits, _EXPONENT), 0)
    return tf.where(is_subnormal, subnormal, tf.cast(numbers, tf.float64))
