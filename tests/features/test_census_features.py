"""Properties of the encoded Census-Income table."""

import os

import numpy as np
import pytest

from keras_mtl.features import Category, Numeric, TabularFeatures

pytestmark = pytest.mark.skipif(
    "KERAS_MTL_DATA" not in os.environ,
    reason="needs Census-Income: set KERAS_MTL_DATA to the folder that holds census_income/",
)


@pytest.fixture(scope="module")
def data():
    from keras_mtl.datasets import census_income

    return census_income.load()


@pytest.fixture(scope="module")
def table(data):
    numbers = [Numeric(name, bins=64) for name in data.numeric]
    return TabularFeatures(numbers, categorical=data.categorical).adapt(data.train.columns)


def test_every_known_id_occurs(table, data):
    ids = table.encode(data.train.columns)["categorical"]
    for position, column in enumerate(table.encoding.categorical):
        size = table.encoding.sources[column.name].size
        first = 2 if isinstance(column, Category) else 1
        counts = np.bincount(ids[:, position], minlength=size)
        assert len(counts) == size
        assert counts[first:].min() > 0
        assert counts[:first].sum() == 0


def test_test_half_is_known_but_for_few_values(table, data):
    ids = table.encode(data.test.columns)["categorical"]
    unknown = [isinstance(column, Category) for column in table.encoding.categorical]
    assert np.mean(ids[:, unknown] == 1) < 1e-4


def test_ids_stand_for_their_values(table, data):
    ids = table.encode(data.test.columns)["categorical"]
    for position, column in enumerate(table.encoding.categorical):
        if isinstance(column, Category):
            known = np.array([None, None, *table.vocabulary(column.name)], object)
            decoded, raw = known[ids[:, position]], data.test.columns[column.name].astype(object)
            seen = ids[:, position] > 1
            np.testing.assert_array_equal(decoded[seen], raw[seen])


def test_bins_keep_the_order_of_numbers(table, data):
    ids = table.encode(data.test.columns)["categorical"]
    for position, column in enumerate(table.encoding.categorical):
        if isinstance(column, Numeric):
            order = np.argsort(data.test.columns[column.name], kind="stable")
            assert np.all(np.diff(ids[order, position]) >= 0)


def test_tensors_equal_arrays(table, data):
    rows = {name: column[:2000] for name, column in data.test.columns.items()}
    packed = table.encode_tensors(rows)
    np.testing.assert_array_equal(packed["categorical"], table.encode(rows)["categorical"])
