"""The model that tests of the export share, and the server that they ask."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl import Task, features, zoo
from keras_mtl.serving.server import Request, answer


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
    labels["buy"] *= labels["view"]
    model.fit(table.encode(raw_columns(50, 0)), labels, epochs=2, batch_size=25, verbose=0)
    return model


def serve(path: Path, requests: dict[str, tuple[str, dict]]) -> dict[str, dict]:
    """Answers to requests (signature, arrays) by name, from a process without Keras."""
    sent = [
        Request(signature, {key: as_sent(array) for key, array in arrays.items()})
        for signature, arrays in requests.values()
    ]
    answers = answer(path, sent)
    assert [answered.error for answered in answers] == [None] * len(answers)
    return {name: answered.outputs for name, answered in zip(requests, answers, strict=True)}


def as_sent(array: np.ndarray) -> np.ndarray:
    """Strings as bytes, numbers as the signature has them."""
    array = np.asarray(array)
    if array.dtype.kind in "OU":
        return np.vectorize(_bytes, otypes=[object])(array)
    return array.astype("float32") if array.dtype == np.float64 else array


def _bytes(text: str | bytes | None) -> bytes:
    return text if isinstance(text, bytes) else (text or "").encode()


def serialized(raw: dict[str, np.ndarray]) -> np.ndarray:
    """Rows as serialized `tf.train.Example`s; a feature without a value is left out."""
    rows = range(len(next(iter(raw.values()))))
    return np.array([_example(raw, row).SerializeToString() for row in rows], object)


def _example(raw: dict[str, np.ndarray], row: int) -> Any:
    import tensorflow as tf

    example = tf.train.Example()
    for name, column in raw.items():
        values = np.atleast_1d(column[row]).tolist()
        feature = example.features.feature
        if isinstance(values[0], str | bytes | None):
            known = [_bytes(value) for value in values if value]
            if known:
                feature[name].bytes_list.value.extend(known)
        elif isinstance(values[0], float):
            known = [value for value in values if value == value]
            if known:
                feature[name].float_list.value.extend(known)
        else:
            feature[name].int64_list.value.extend(values)
    return example
