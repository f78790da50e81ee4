"""What every test starts with: how TensorFlow computes, and what examples of docstrings may use."""

import os
from typing import Any

# By default only on some processors: the same products, and a count of memory, on all.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task


@pytest.fixture(autouse=True)
def _names_of_examples(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(np=np, keras=keras, Task=Task, MultiTaskModel=MultiTaskModel)
