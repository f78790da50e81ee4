"""Scaling: one size at a time, the rows of each point, and what is asked of 64 tasks."""

from dataclasses import asdict

import numpy as np
import pytest

from benchmarks import data, scaling
from benchmarks.contenders import LIMIT, OURS_BEST, OURS_DEFAULT, SCALED
from benchmarks.kernels import kernels
from benchmarks.scaling import BASE, MANY, POINTS, Cost, Point
from benchmarks.setting import Setting
from benchmarks.workload import Sizes

SIZES = Sizes(expert_units=(6, 4), tower_units=(3,))


@pytest.fixture(scope="module")
def split():
    return data.load("synthetic", None, rows=40, seed=0)


@pytest.fixture(scope="module")
def work(split):
    return data.encode(split, SIZES)


def test_one_size_changes_at_a_time():
    for size, least, most in (("tasks", 2, 64), ("experts", 4, 64), ("batch", 128, 16384)):
        values = {asdict(point)[size] for point in POINTS}
        assert (min(values), max(values)) == (least, most)
    for point in POINTS:
        assert sum(asdict(point)[size] != value for size, value in asdict(BASE).items()) <= 1


def test_a_point_has_whole_calls_of_steps_and_its_own_labels(work):
    point = Point(tasks=3, experts=5, batch=16384)
    found = scaling.workload(work, Point(tasks=3, experts=5, batch=4))
    assert point.rows == 16 * point.batch
    assert len(found) == scaling.STEPS * 4
    assert len(found.labels) == 3
    assert (found.sizes.num_experts, found.sizes.batch_size) == (5, 4)
    np.testing.assert_array_equal(found.categorical[40:80], work.categorical)


def test_growth_is_compared_with_that_of_the_products():
    costs = {
        BASE: {OURS_BEST: Cost(2.0, "", [5.0, 4.0], 700.0), LIMIT: Cost(1.0, "", [2.0], 400.0)},
        MANY: {OURS_BEST: Cost(11.0, "", [16.0], 950.0), LIMIT: Cost(1.0, "", [6.0], 500.0)},
    }
    text = scaling.report(costs)
    last = [line.split() for line in text.splitlines()[-2:]]
    assert last[0][-4:] == ["1.33", "<=", "1.5", "met"]  # (16 / 4) / (6 / 2)
    assert last[1][-4:] == ["11.0", "<=", "10.0", "missed"]
    assert "+250" in text
    measures = {(f.measure, f.value) for f in scaling.figures(costs)}
    assert (f"peak memory, {MANY}", 950.0) in measures
    assert (f"step, {BASE}", 4.0) in measures


@pytest.mark.slow
def test_more_towers_than_experts_have_their_products_in_both_backends(work):
    pytest.importorskip("jax")
    from benchmarks.peers import matrix_products, matrix_products_jax

    many = scaling.workload(work, Point(tasks=5, experts=2, batch=4))
    weights = sum(int(np.prod(shape)) for shape in kernels(many, "mmoe").all)
    for module in (matrix_products, matrix_products_jax):
        products = module.make(many, "mmoe")
        products.train(8)
        assert products.parameters == weights


@pytest.mark.slow
def test_a_tiny_point_is_measured(split, work, tmp_path):
    entries = [entry for entry in SCALED if entry.name != OURS_BEST]
    costs = scaling.measure(Setting(split, work, tmp_path, entries, {}, rounds=2), [Point(3, 2, 4)])
    (by_name,) = costs.values()
    assert set(by_name) == {OURS_DEFAULT, LIMIT}
    for cost in by_name.values():
        assert len(cost.steps) == 2
        assert cost.step > 0
        assert cost.peak_mib > 50
        assert "tensorflow==" in cost.versions
