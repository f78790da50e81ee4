"""Quantile bins: about equal, never empty, whatever the column looks like."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.features.quantiles import QuantileSummary


def summarize(values, capacity=2**17, chunks=1):
    summary = QuantileSummary(capacity)
    for chunk in np.array_split(np.asarray(values, np.float32), chunks):
        summary.update(chunk)
    summary.fold()
    return summary


def rows_per_bin(edges, values):
    ids = np.searchsorted(edges, np.asarray(values, np.float32), side="right")
    return np.bincount(ids, minlength=len(edges) + 1)


@given(
    st.lists(st.sampled_from([-2.0, 0.0, 0.0, 0.0, 1.0, 1.5, 3.0, 1e-30, 1e30, 7.0]), min_size=1),
    st.lists(st.floats(-1e6, 1e6, width=32), max_size=200),
    st.integers(2, 20),
)
@settings(max_examples=200, deadline=None)
def test_no_bin_is_empty(atoms, floats, bins):
    values = atoms + floats
    edges = summarize(values).edges(bins)
    assert len(edges) + 1 <= bins
    assert np.all(np.diff(edges) > 0)
    assert rows_per_bin(edges, values).min() > 0


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=12)
)
@settings(max_examples=100, deadline=None)
def test_few_values_get_a_bin_each(values):
    edges = summarize(values).edges(12)
    assert len(edges) + 1 == len(np.unique(np.asarray(values, np.float32) + np.float32(0)))
    assert rows_per_bin(edges, values).min() > 0


@pytest.mark.parametrize("bins", [2, 10, 50, 64])
def test_continuous_values_are_cut_into_equal_parts(bins):
    values = np.random.default_rng(0).lognormal(size=20_000)
    counts = rows_per_bin(summarize(values).edges(bins), values)
    assert len(counts) == bins
    assert counts.max() - counts.min() <= 2


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_zero_inflated_column_resolves_the_rest(side):
    rng = np.random.default_rng(0)
    rare = rng.normal(3 * side, 1 if side == 0 else 0.5, 20_000)
    values = np.where(rng.random(20_000) < 0.95, 0, np.abs(rare) * side if side else rare)
    edges = summarize(values).edges(32)
    counts = np.sort(rows_per_bin(edges, values))
    assert len(counts) == 32
    assert counts[-1] == np.sum(values == 0)
    # the other 31 bins share the other 5 %
    assert counts[-2] < 2 * np.sum(values != 0) / 31


def test_two_heavy_values():
    values = np.repeat(np.arange(53.0), [5000] + [20] * 51 + [4000])
    counts = rows_per_bin(summarize(values).edges(10), values)
    assert len(counts) == 10
    assert (counts[0], counts[-1]) == (5000, 4000)
    assert max(counts[1:-1]) <= 160


def test_numbers_as_large_as_float32_allows():
    values = [-3e38, 3e38]
    assert rows_per_bin(summarize(values).edges(4), values).tolist() == [1, 1]


def test_missing_values_do_not_count():
    assert summarize([np.nan, 1.0, np.nan, 2.0]).counts.tolist() == [1, 1]


def test_long_stream_keeps_ranks():
    values = np.random.default_rng(0).normal(size=200_000)
    summary = summarize(values, capacity=1000, chunks=400)
    assert len(summary.values) <= 2000
    ranks = np.searchsorted(np.sort(values.astype(np.float32)), summary.edges(20)) / len(values)
    np.testing.assert_allclose(ranks, np.arange(1, 20) / 20, atol=0.005)


def test_merge_is_exact_while_distinct_values_fit():
    values = np.random.default_rng(1).integers(0, 500, 5000)
    one, other = summarize(values[:1000]), summarize(values[1000:])
    one.merge(other)
    np.testing.assert_array_equal(one.edges(16), summarize(values).edges(16))
