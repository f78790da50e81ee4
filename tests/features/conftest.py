"""A table with every kind of column, and raw data with every kind of value."""

import numpy as np
import pytest

from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures

WORDS = ["Zürich", "東京", "oslo", "rome", "?", "", "bern", "nice"]


def draw(rows, seed, words=WORDS):
    """Raw columns; `words` beyond those of the training data are unseen."""
    rng = np.random.default_rng(seed)
    gaps = rng.random((2, rows)) < 0.15
    return {
        "city": rng.choice(words, rows),
        "code": np.array([word.encode() for word in rng.choice(words, rows)]),
        "year": rng.integers(-2, 5 if words is WORDS else 9, rows),
        "user": np.where(gaps[0], None, rng.choice(words, rows).astype(object)),
        "shop": rng.integers(-9, 20, rows),
        "age": np.where(gaps[0], np.nan, rng.normal(40, 12, rows)),
        "pay": rng.normal(0, 300, rows) ** 3,
        "gain": np.where(
            gaps[1], np.nan, np.where(rng.random(rows) < 0.8, 0, rng.normal(size=rows))
        ),
        "hours": rng.integers(0, 60, rows),
        "history": [rng.choice(words, rng.integers(0, 6)).tolist() for _ in range(rows)],
        "clicks": rng.integers(0, 12, (rows, 4)),
    }


def make_table(**arguments):
    return TabularFeatures(
        [
            Category("city", missing="?"),
            Category("code", min_count=20),
            Category("year", missing=-1),
            Category("user", hash_buckets=5, dim=3),
            Category("shop", hash_buckets=7, dim=3, missing=(0, 1)),
            Numeric("age", encoding="standard"),
            Numeric("pay", transform="log", encoding="standard"),
            Numeric("gain", bins=6),
            Numeric("hours", bins=[10, 20.5, 40]),
            Sequence("history", vocabulary="city", max_length=3),
            Sequence("clicks", dim=3, max_length=3, missing=0),
        ],
        **{"embedding_dim": 4, "seed": 3, **arguments},
    )


@pytest.fixture(scope="session")
def train():
    return draw(150, seed=0)


@pytest.fixture(scope="session")
def unseen():
    return draw(80, seed=1, words=[*WORDS, "Ålesund", "ny by"])


@pytest.fixture
def table(train):
    return make_table().adapt(train)


@pytest.fixture
def new_table():
    return make_table
