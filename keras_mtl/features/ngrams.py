"""A word's character n-grams as hash buckets, of many words at once and without making a string.

A word's bytes b_1, b_2, ... stand behind those of all words before it, at positions k. With the
running sums P_k = sum_{j<k} b_j M^(j+1) mod 2^64, the bytes from s up to e hash as a value of their
own would (`hashing`): mix((P_e - P_s) M^-s), as M is odd and has an inverse modulo 2^64.
A character is a byte and the continuation bytes (10xxxxxx) behind it, so bytes that are no UTF-8
have n-grams too. `tensor_hashing` does the same in TensorFlow.
"""

import dataclasses

import numpy as np

from keras_mtl.features.hashing import MULTIPLIER, mix
from keras_mtl.features.values import to_bytes

INVERSE = pow(MULTIPLIER, -1, 2**64)
FIRST_MARK, LAST_MARK = b"<", b">"


@dataclasses.dataclass(frozen=True)
class NgramBuckets:
    """id 0: no n-gram, 1 + hash mod buckets: any, of `shortest` to `longest` characters."""

    shortest: int
    longest: int
    buckets: int

    reserved = 1
    unknown = 0  # the id of a value that is none of its own

    @property
    def size(self) -> int:
        """Number of ids."""
        return self.reserved + self.buckets

    def ids(self, values: list[str | bytes], limit: int) -> np.ndarray:
        """The ids, int32 (N, `limit`), of strings and bytes; each distinct one is cut up once."""
        positions = {value: position for position, value in enumerate(dict.fromkeys(values))}
        words = [to_bytes(value) if isinstance(value, str) else value for value in positions]
        index = np.fromiter(map(positions.__getitem__, values), np.int64, len(values))
        return self._ids(words, limit)[index]

    def _ids(self, words: list[bytes], limit: int) -> np.ndarray:
        marked = [FIRST_MARK + word + LAST_MARK for word in words]
        text = np.frombuffer(b"".join(marked), np.uint8)
        characters = np.flatnonzero(text & 0xC0 != 0x80)  # (C,)
        word = np.repeat(np.arange(len(words)), [len(each) for each in marked])[characters]  # (C,)
        ends = np.cumsum(np.bincount(word, minlength=len(words)))  # (N,)
        lengths = np.arange(self.shortest, self.longest + 1)  # (L,)
        inside = np.arange(len(characters))[:, None] + lengths <= ends[word][:, None]  # (C, L)
        first, length = np.nonzero(inside)  # (G,) each, by start, then by length
        bounds = np.append(characters, len(text))
        hashes = _hash_slices(text, bounds[first], bounds[first + lengths[length]])  # (G,)
        row = word[first]
        place, kept = _places(row, len(words), limit)
        ids = np.zeros((len(words), limit), np.int32)
        ids[row[kept], place[kept]] = 1 + hashes[kept] % np.uint64(self.buckets)
        return ids


def _hash_slices(text: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The hashes, uint64 (G,), of the bytes from each start up to its stop."""
    powers = np.cumprod(np.full(len(text), MULTIPLIER, np.uint64))
    sums = np.append(np.uint64(0), np.cumsum(text * powers, dtype=np.uint64))
    inverses = np.cumprod(np.append(np.uint64(1), np.full(len(text), INVERSE, np.uint64)))
    return mix((sums[stops] - sums[starts]) * inverses[starts])


def _places(row: np.ndarray, rows: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The place of every n-gram in its row, and which are kept: of too many, not the middle."""
    counts = np.bincount(row, minlength=rows)
    overflow = np.maximum(counts - limit, 0)[row]
    place = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    head = (limit + 1) // 2
    kept = (place < head) | (place >= head + overflow)
    return np.where(place < head, place, place - overflow), kept
