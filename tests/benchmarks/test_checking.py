"""The benchmark of `check-export`, on few rows and tasks."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import checking
from keras_mtl.features import TabularFeatures


def test_the_cost_of_a_signature_is_that_beyond_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = TabularFeatures(categorical=["city"]).adapt({"city": np.array(["Rome", "Oslo"])})
    folder = checking.export(table, 2, tmp_path)
    spent = iter([(9.0, 9.0), (1.0, 2.0), (2.0, 6.0), (9.0, 9.0)])  # loads, then checks
    monkeypatch.setattr(checking, "_spent", lambda work: next(spent))
    cost = checking.measure(folder, rounds=2)
    assert (cost.clock, cost.cpu) == (1.0 / 5, 4.0 / 5)  # two tasks have five signatures
    clock, cpu = checking.figures(cost)
    assert (clock.value, cpu.value) == (cost.clock, cost.cpu)
    assert "met" in checking.report(cost)


def test_seconds_are_counted_here_and_in_processes() -> None:
    clock, cpu = checking._spent(lambda: sum(range(3_000_000)))
    assert clock > 0
    assert cpu > 0
