"""The model that tests of the export share, and the server that they ask."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from keras_mtl import Task, features, zoo

ANSWER = Path(__file__).with_name("answer_requests.py")


def raw_columns(num_rows: int, seed: int) -> dict[str, np.ndarray]:
    """Columns as users name them, with gaps; seed 1 brings values that were never seen."""
    generator = np.random.default_rng(seed)
    cities = ["Rome", "Oslo", "Bern", "", *(["Nowhere"] * seed)]
    codes = [3, 7, 11, *([99] * seed)]
    numbers = generator.normal(size=(num_rows, 3))
    numbers[generator.random(numbers.shape) < 0.2] = np.nan
    return {
        "city of birth": generator.choice(cities, num_rows).astype(object),
        "class": generator.choice(["x", "y"], num_rows).astype(object),
        "zip-code": generator.choice(codes, num_rows),
        "Age": numbers[:, 0],
        "age": numbers[:, 1],
        "co$t/é": numbers[:, 2],
        "seen": generator.choice(cities, (num_rows, 4)).astype(object),
    }


def make_table() -> features.TabularFeatures:
    columns = [
        features.Category("city of birth", vocabulary="city"),
        features.Category("class", hash_buckets=5),
        features.Category("zip-code"),
        features.Numeric("Age"),
        features.Numeric("age", bins=3),
        features.Numeric("co$t/é", transform="log"),
        features.Sequence("seen", vocabulary="city", max_length=3),
    ]
    return features.TabularFeatures(columns, embedding_dim=3, seed=0).adapt(raw_columns(50, 0))


TASKS = [
    Task("view"),
    Task("buy", given="view", trained_on="all"),
    Task("stars", "multiclass", units=3),
    Task("price", "regression", units=2),
]


def make_trained(table: features.TabularFeatures) -> keras.Model:
    """A model with much that a server does not want: optimizer, metrics, dropout's seeds."""
    model = zoo.ple(
        table, TASKS, expert_units=6, tower_units=4, dropout=0.3, normalization="batch", seed=0
    )
    model.compile(keras.optimizers.Adam(0.05), run_eagerly=True)
    generator = np.random.default_rng(0)
    labels = {
        "view": generator.integers(0, 2, 50),
        "buy": generator.integers(0, 2, 50),
        "stars": generator.integers(0, 3, 50),
        "price": generator.normal(size=(50, 2)),
    }
    model.fit(table.encode(raw_columns(50, 0)), labels, epochs=2, batch_size=25, verbose=0)
    return model


def serve(path: Path, folder: Path, requests: dict[str, tuple[str, dict]]) -> dict[str, dict]:
    """Answers to requests (signature, arrays) by name, from a process without Keras."""
    for name, (signature, arrays) in requests.items():
        sent = {key: as_sent(array) for key, array in arrays.items()}
        np.savez(folder / f"{signature}@{name}.request.npz", **sent)
    command = [sys.executable, "-P", str(ANSWER), str(path), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = {}
    for name in requests:
        with np.load(folder / f"{name}.answer.npz") as answer:
            answers[name] = dict(answer)
    return answers


def as_sent(array: np.ndarray) -> np.ndarray:
    """Strings as bytes, numbers as the signature has them."""
    array = np.asarray(array)
    if array.dtype.kind in "OU":
        return np.vectorize(lambda text: text.encode(), otypes=["S12"])(array)
    return array.astype("float32") if array.dtype == np.float64 else array
