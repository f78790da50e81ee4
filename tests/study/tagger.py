"""Tokens with labels, and a model of sequences with sparse experts."""

import keras
import numpy as np
from keras import ops

from keras_mtl import MultiTaskModel
from keras_mtl.datasets.dataset import Dataset, Split
from keras_mtl.layers import SwitchFFN

WORDS = np.array(["the", "cat", "Oslo", "saw", "Rome"])
MAX_LENGTH = 6

STUDY = """
[model]
name = "tagger"
hidden_units = [8]
num_experts = 3

[against.dense]
name = "tagger"
hidden_units = [4]

[compile]
optimizer = { class_name = "Adam", learning_rate = 0.05 }

[fit]
epochs = 2
batch_size = 10

[selection]
monitor = "val_mean"

[data.tokens]
source = "tests.study.tagger:load"
tasks = [{ name = "number", kind = "multiclass", units = 5 }, "capital"]

[data.tokens.features]
embedding_dim = 3
sequence = { max_length = 6, pooling = "none" }
"""


def load(rows: int = 40, seed: int = 0) -> Dataset:
    """Each word's number, and whether it begins with a capital."""
    rng = np.random.default_rng(seed)

    def part() -> Split:
        numbers = rng.integers(len(WORDS), size=(rows, MAX_LENGTH))
        inside = np.arange(MAX_LENGTH) < rng.integers(1, MAX_LENGTH, size=(rows, 1))
        columns = {name: np.empty(rows, object) for name in ("word", "ending")}
        for row in range(rows):
            words = WORDS[numbers[row, inside[row]]].tolist()
            columns["word"][row] = words
            columns["ending"][row] = [word[-2:] for word in words]
        capital = np.isin(numbers, (2, 4)).astype("int32")
        labels = {"number": numbers.astype("int32"), "capital": capital}
        return Split(columns, {name: np.where(inside, y, -1) for name, y in labels.items()})

    return Dataset(part(), part(), part(), sequences=["word", "ending"])


def tagger(inputs, tasks, *, hidden_units=(8,), num_experts=0, seed=None, name="tagger"):
    """A dense layer a token, and a sparse one; an integer D is a sequence of vectors."""
    if isinstance(inputs, int):
        graph = vectors = keras.Input((None, inputs))
    else:
        graph = inputs.inputs
        by_column = inputs.embed(concatenate=False)
        vectors = ops.concatenate([by_column[name] for name in sorted(by_column)], axis=-1)
    hidden = keras.layers.Dense(hidden_units[0], "relu")(vectors)
    if num_experts:
        sparse = SwitchFFN(num_experts, hidden_units=4, min_capacity=1, seed=seed, name="ffn")
        hidden = hidden + sparse(hidden)
    outputs = {
        task.name: keras.layers.Dense(
            task.units, "softmax" if task.kind == "multiclass" else "sigmoid", name=f"{task.name}_p"
        )(hidden)
        for task in tasks
    }
    return MultiTaskModel(inputs=graph, outputs=outputs, tasks=tasks, name=name)
