"""The benchmark of `check-export`, on few rows and tasks."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import checking
from keras_mtl.features import TabularFeatures


@pytest.mark.slow
def test_the_cost_of_a_signature_is_that_beyond_loading(tmp_path: Path) -> None:
    table = TabularFeatures(categorical=["city"]).adapt({"city": np.array(["Rome", "Oslo"])})
    folder = checking.export(table, 2, tmp_path)
    cost = checking.measure(folder, rounds=1)
    assert 0 < cost.cpu < 30
    clock, cpu = checking.figures(cost)
    assert (clock.value, cpu.value) == (cost.clock, cost.cpu)
    assert "<= 0.2" in checking.report(cost)
