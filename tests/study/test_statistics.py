import math

import numpy as np
import pytest

from keras_mtl.study.statistics import paired_difference, summarize, t_probability, t_quantile


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062047), (2, 4.3026527), (4, 2.7764451), (9, 2.2621572), (199, 1.9719565)],
)
def test_quantile_equals_the_printed_tables(degrees, expected):
    assert t_quantile(degrees, 0.975) == pytest.approx(expected, rel=1e-6)


def test_probability_of_one_degree_is_the_cauchy_distribution():
    assert t_probability(1, 3.0) == pytest.approx(0.5 + math.atan(3.0) / math.pi, abs=1e-9)


def test_summary_by_hand():
    summary = summarize([0.90, 0.92, 0.94, 0.96])
    deviation = math.sqrt((9 + 1 + 1 + 9) * 1e-4 / 3)
    assert summary.mean == pytest.approx(0.93)
    assert summary.deviation == pytest.approx(deviation)
    assert summary.interval[1] - 0.93 == pytest.approx(3.182446 * deviation / 2, rel=1e-6)


def test_one_seed_has_no_spread():
    summary = summarize([0.5])
    assert summary.mean == 0.5
    assert math.isnan(summary.deviation)
    assert math.isnan(summary.half_width)


def test_paired_difference_ignores_what_seeds_do_to_both():
    rng = np.random.default_rng(0)
    noise = dict(enumerate(rng.normal(0, 10.0, 5)))
    gain = paired_difference({s: n + 0.1 for s, n in noise.items()}, noise)
    assert gain.mean == pytest.approx(0.1)
    assert gain.half_width < 1e-9


def test_paired_difference_takes_common_seeds_only():
    gain = paired_difference({0: 1.0, 1: 2.0, 7: 100.0}, {1: 1.0, 0: 1.0, 3: -50.0})
    assert (gain.count, gain.mean) == (2, 0.5)
    with pytest.raises(ValueError, match="must share a seed"):
        paired_difference({0: 1.0}, {1: 1.0})


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    trials = [summarize(rng.normal(0.0, 1.0, 5).tolist()).interval for _ in range(2000)]
    covered = np.mean([low < 0.0 < high for low, high in trials])
    assert covered == pytest.approx(0.95, abs=0.015)
