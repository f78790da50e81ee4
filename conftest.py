"""What the examples of docstrings may use without importing it."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, Task


@pytest.fixture(autouse=True)
def _names_of_examples(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(np=np, keras=keras, Task=Task, MultiTaskModel=MultiTaskModel)
