"""What `keras_mtl.features` documents, a value at a time in plain Python."""

import math
from collections import Counter


def text(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def absent(value, missing=()):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return text(value) in ("", -(2**63), *missing)


def learn(values, min_count=1, missing=()):
    counts = Counter(text(value) for value in values if not absent(value, missing))
    frequent = [value for value, count in counts.items() if count >= min_count]
    return sorted(frequent, key=lambda value: (-counts[value], value))


def identify(value, vocabulary, missing=()):
    if absent(value, missing):
        return 0
    return 2 + vocabulary.index(text(value)) if text(value) in vocabulary else 1


def pad(row, vocabulary, length, missing=()):
    ids = [identify(value, vocabulary, missing) for value in row]
    kept = [known for known in ids if known > 0][-length:]
    return kept + [0] * (length - len(kept))


def standardize(values, train, log=False):
    def bend(value):
        return math.copysign(math.log1p(abs(value)), value) if log else value

    bent = [bend(value) for value in train if math.isfinite(value)]
    mean = sum(bent) / len(bent)
    scale = math.sqrt(sum((value - mean) ** 2 for value in bent) / len(bent))
    return [(bend(value) - mean) / scale if math.isfinite(value) else 0.0 for value in values]


def hash_value(value):
    """MurmurHash3's finaliser of an integer, or of sum_j b_j M^(j+1) over a text's bytes."""
    word = 2**64
    if isinstance(value, int):
        h = value % word
    else:
        data = text(value).encode("utf-8", "surrogateescape")
        h = sum(b * pow(0x9E3779B97F4A7C15, j + 1, word) for j, b in enumerate(data)) % word
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = ((h ^ (h >> 33)) * multiplier) % word
    return h ^ (h >> 33)


def cut_up(word, shortest, longest, limit):
    """The n-grams of a word, by start and then by length; of too many, not the middle."""
    marked = f"<{word}>"
    found = [
        marked[start : start + length]
        for start in range(len(marked))
        for length in range(shortest, longest + 1)
        if start + length <= len(marked)
    ]
    head, tail = (limit + 1) // 2, limit // 2
    return found if len(found) <= limit else found[:head] + found[len(found) - tail :]


def ngram_ids(word, shortest, longest, buckets, limit):
    found = [1 + hash_value(g) % buckets for g in cut_up(word, shortest, longest, limit)]
    return found + [0] * (limit - len(found))
