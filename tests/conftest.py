"""Fixtures of the whole suite."""

from collections.abc import Iterator

import keras
import pytest


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    """Every test draws the same numbers, alone or not, and leaves no dtype policy behind."""
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy(policy)
