"""A hash of strings and integers that NumPy and TensorFlow compute alike, on whole columns.

h(b) = mix(sum_j b_j M^(j+1) mod 2^64) over the bytes b_0, b_1, ... of the UTF-8 text, and h(i) =
mix(i) of an integer, where mix is MurmurHash3's 64-bit finaliser. `keras.layers.Hashing` uses
FarmHash, which NumPy lacks and which would cost a Python call per value.
"""

import numpy as np

from keras_mtl.features.values import to_bytes

MULTIPLIER = 0x9E3779B97F4A7C15
MIXERS = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
MIX_SHIFT = 33


def hash_values(values: list[str] | list[int]) -> np.ndarray:
    """The hashes, uint64 (N,), of strings (none empty) or of integers, modulo 2^64."""
    if not values or not isinstance(values[0], str):
        return mix(np.array([value % 2**64 for value in values], np.uint64))
    encoded = [to_bytes(value) for value in values]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    starts = np.cumsum(lengths) - lengths
    positions = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    powers = np.cumprod(np.full(lengths.max(), MULTIPLIER, np.uint64))
    terms = np.frombuffer(b"".join(encoded), np.uint8) * powers[positions]
    return mix(np.add.reduceat(terms, starts))


def mix(hashes: np.ndarray) -> np.ndarray:
    """MurmurHash3's finaliser, uint64 (N,)."""
    shift = np.uint64(MIX_SHIFT)
    for multiplier in MIXERS:
        hashes = (hashes ^ (hashes >> shift)) * np.uint64(multiplier)
    return hashes ^ (hashes >> shift)
