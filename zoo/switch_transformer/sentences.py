"""Sentences of made-up words, so that the study of tokens runs without a download."""

import numpy as np

from keras_mtl.datasets.dataset import Dataset, Split

CONSONANTS, VOWELS = np.array([*"bdfgklmnprstvz"]), np.array([*"aeiou"])
BEGINNING = len(VOWELS)


def load(
    num_train: int = 2_000,
    num_valid: int = 500,
    num_test: int = 500,
    max_words: int = 12,
    seed: int = 0,
) -> Dataset:
    """Draws sentences of three to `max_words` words; both tasks are about vowels at words' ends.

    A word is consonant, vowel, consonant, vowel, each drawn evenly: 4,900 words, many of which
    training never shows. `ending` is the word's last vowel, which its characters tell; `previous`
    that of the word before, or 5 at the beginning of a sentence, which only attention tells.
    """
    rng = np.random.default_rng(seed)
    sizes = num_train, num_valid, num_test
    train, valid, test = (_draw(rng, rows, max_words) for rows in sizes)
    return Dataset(train, valid, test, sequences=["words"])


def _draw(rng: np.random.Generator, rows: int, max_words: int) -> Split:
    shape = (rows, max_words)
    endings = rng.integers(len(VOWELS), size=shape)  # (B, S)
    stems = [rng.choice(of, shape) for of in (CONSONANTS, VOWELS, CONSONANTS)]
    forms = np.stack([*stems, VOWELS[endings]], axis=-1)  # (B, S, 4)
    lengths = rng.integers(3, max_words, size=rows, endpoint=True)
    words = np.empty(rows, object)
    for row, length in enumerate(lengths):
        words[row] = ["".join(letters) for letters in forms[row, :length]]
    inside = np.arange(max_words) < lengths[:, None]  # (B, S)
    previous = np.pad(endings[:, :-1], ((0, 0), (1, 0)), constant_values=BEGINNING)  # (B, S)
    labels = {"ending": endings, "previous": previous}
    return Split({"words": words}, {name: np.where(inside, y, -1) for name, y in labels.items()})
