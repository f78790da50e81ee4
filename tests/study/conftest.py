import textwrap
from pathlib import Path

import pytest

DATA = '''
import numpy as np

from keras_mtl.datasets.dataset import Dataset, Split


def load(rows=120, correlation=1.0, names=("a", "b"), weights=(1, 1), seed=0):
    """A binary task and a regression task of four numbers."""
    rng = np.random.default_rng(seed)

    def part():
        x = rng.normal(size=(rows, 4)).astype("float32")
        labels = {"a": (x[:, 0] > 0).astype("int32"), "b": correlation * x[:, 0] + x[:, 1]}
        return Split({"features": x}, labels)

    return Dataset(part(), part(), part())


def table(rows=120):
    """The same tasks of a category and a number, both with gaps."""
    rng = np.random.default_rng(0)

    def part():
        city = rng.choice(["Rome", "Oslo", ""], rows)
        age = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows))
        labels = {"a": (city == "Rome").astype("int32"), "b": np.nan_to_num(age)}
        return Split({"city": city, "age": age}, labels)

    return Dataset(part(), part(), part(), categorical=["city"], numeric=["age"])
'''

STUDY = """
title = "A toy"

[model]
name = "ple"
levels = 1
expert_units = [4]
tower_units = []

[baseline]
name = "single_task"
hidden_units = [4]
tower_units = []

[fit]
epochs = 2
batch_size = 40

[data.toy]
source = "toy_data:load"
tasks = ["a", { name = "b", kind = "regression" }]

[data.table]
source = "toy_data:table"
tasks = ["a", { name = "b", kind = "regression" }]
features = { embedding_dim = 2, number = { bins = 4 } }
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with an importable data module."""
    (tmp_path / "toy_data.py").write_text(DATA)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_study(place):
    """Writes a study file: the toy's, with text replaced and text added."""

    def write(*replacements: tuple[str, str], more: str = "", name: str = "toy.toml") -> Path:
        text = STUDY
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, 1)
        (place / name).write_text(text + textwrap.dedent(more))
        return place / name

    return write
