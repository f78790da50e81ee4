"""A table's fingerprint: equal where packed values mean the same, and only there."""

import json
import os
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_mtl import zoo
from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures

PRINT = """
import sys, json, keras, keras_mtl
config = json.load(sys.stdin)
print(keras.saving.deserialize_keras_object(config).fingerprint)
"""


def one_column(column, values):
    return TabularFeatures([column]).adapt({column.name: values}).fingerprint


def test_fingerprint_survives_config_pickle_and_another_process(table, train, new_table):
    config = json.dumps(keras.saving.serialize_keras_object(table))
    copy = keras.saving.deserialize_keras_object(json.loads(config))
    other = subprocess.run(
        [sys.executable, "-c", PRINT],
        input=config,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    fingerprints = [
        copy.fingerprint,
        new_table().adapt(train).fingerprint,
        pickle.loads(pickle.dumps(table)).fingerprint,
        other.stdout.strip(),
    ]
    assert fingerprints == [table.fingerprint] * 4


def test_fingerprint_survives_a_model_file(tmp_path):
    table = TabularFeatures(categorical=["city"]).adapt({"city": ["Rome", "Oslo"]})
    model = zoo.shared_bottom(table, ["click"], bottom_units=2, tower_units=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.features.fingerprint == table.fingerprint


def test_fingerprint_tells_tables_apart():
    cities = ["a", "a", "b"]
    tables = [
        one_column(Category("city"), cities),
        one_column(Category("town"), cities),
        one_column(Category("city"), ["b", "b", "a"]),
        one_column(Category("city"), ["a", "b", "c"]),
        one_column(Category("city", hash_buckets=2), cities),
        one_column(Category("city", hash_buckets=3), cities),
        one_column(Category("city", missing="b"), cities),
        one_column(Category("city"), [1, 1, 2]),
        one_column(Sequence("city"), [cities]),
        one_column(Sequence("city", max_length=2), [cities]),
        one_column(Numeric("city"), np.arange(3)),
        one_column(Numeric("city"), np.arange(4)),
        one_column(Numeric("city", bins=2), np.arange(4)),
    ]
    assert len(set(tables)) == len(tables)


def test_fingerprint_counts_the_order_of_columns():
    data = {"a": ["x"], "b": ["x"]}
    one, two = (
        TabularFeatures(categorical=names).adapt(data) for names in (["a", "b"], ["b", "a"])
    )
    assert one.fingerprint != two.fingerprint


def test_fingerprint_leaves_out_how_values_are_embedded():
    values = ["a", "b"]
    assert one_column(Category("city"), values) == one_column(Category("city", dim=3), values)


def test_fingerprint_needs_adapt():
    with pytest.raises(ValueError, match="`adapt` must be called first"):
        _ = TabularFeatures(categorical=["city"]).fingerprint


@pytest.mark.parametrize(("column", "rows"), [(Category, (-1,)), (Sequence, (2, 2))])
def test_fingerprint_takes_booleans_for_integers(column, rows):
    flags = np.array([True, False, True, True]).reshape(rows)
    boolean, integer = (
        TabularFeatures([column("flag")]).adapt({"flag": values}) for values in (flags, flags * 1)
    )
    assert boolean.fingerprint == integer.fingerprint
    assert [type(value) for value in boolean.vocabulary("flag")] == [int, int]
