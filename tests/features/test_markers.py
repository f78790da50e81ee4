"""A declared marker of missing values that no value is: said once, with what comes near it."""

import warnings

import numpy as np
import pytest

from keras_mtl.features import Category, Sequence, TabularFeatures


def said_by(column, *chunks):
    table = TabularFeatures([column])
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        table.adapt({column.name: chunk} for chunk in chunks)
        table.encode({column.name: chunks[0]})
        TabularFeatures.from_config(table.get_config())
    return [str(warning.message) for warning in record]


@pytest.mark.parametrize(
    "options", [{}, {"hash_buckets": 5}, {"vocabulary": ["a", "b"]}], ids=["", "hashed", "given"]
)
@pytest.mark.parametrize("values", [["a", " ?", "b"], [b"a", b" ?"], np.array([" ?", "b"])])
def test_a_marker_that_never_occurs_is_warned_of_once_with_the_near_value(options, values):
    (said,) = said_by(Category("city", missing="?", **options), values, values)
    assert said.startswith("Column `city`: no value is '?', which its `missing` declares, but ' ?'")


def test_case_is_near_too_and_nothing_is_said_where_nothing_is_near():
    assert "but 'na' does" in said_by(Category("x", missing="NA"), ["na", "a"])[0]
    assert "declares. Declare" in said_by(Category("x", missing="NA"), ["nan", "a"])[0]
    assert "no value is -1, which" in said_by(Category("x", missing=-1), [1, 2])[0]
    assert "no value is 0, which" in said_by(Sequence("x", missing=0), [[1, 2]])[0]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (Category("x", missing="?"), ["a", "?", " ?"]),
        (Category("x", missing="?"), [b"a", b"?"]),
        (Category("x", missing=("?", -1)[1]), [3, -1]),
        (Sequence("x", missing=0), np.array([[1, 0], [2, 0]])),
        (Category("x", missing="?", hash_buckets=3), ["a", "?"]),
        (Category("x"), ["a", "b"]),
    ],
)
def test_a_marker_that_occurs_is_not_warned_of(column, values):
    assert said_by(column, values, values[:1]) == []
    assert said_by(column, values[:1], values) == []


def test_workers_see_markers_for_each_other():
    table = TabularFeatures([Category("x", missing="?")])
    one, two = table.statistics(), table.statistics()
    one.update({"x": ["a", " ?"]})
    two.update({"x": ["a", "?"]})
    one.merge(two)
    table.adapt(one)
    three = table.statistics()
    three.update({"x": ["a", " ?"]})
    three.merge(table.statistics())
    with pytest.warns(UserWarning, match=r"but ' \?' does"):
        table.adapt(three)
