"""The table itself: its configuration, and what it refuses."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest

from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures


def test_config_round_trip_through_json(table, unseen):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(table)))
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.columns == table.columns
    assert copy.get_config() == table.get_config()
    for name, array in copy.encode(unseen).items():
        np.testing.assert_array_equal(array, table.encode(unseen)[name])


@pytest.mark.parametrize(
    "copied",
    [lambda table: pickle.loads(pickle.dumps(table)), copy.deepcopy, copy.copy],
    ids=["pickle", "deepcopy", "copy"],
)
def test_a_table_that_has_encoded_tensors_and_is_embedded_is_copied(table, unseen, copied):
    if keras.backend.backend() == "tensorflow":
        table.encode_tensors({n: [[""]] if n == "history" else [[1]] if n == "clicks" else
                              [unseen[n][0] or ""] for n in unseen})  # fmt: skip
    table.embed()
    other = copied(table)
    assert other.fingerprint == table.fingerprint
    for name, array in other.encode(unseen).items():
        np.testing.assert_array_equal(array, table.encode(unseen)[name])
    assert other.inputs["categorical"] is not table.inputs["categorical"]
    assert other.embed().shape == table.embed().shape
    if keras.backend.backend() == "tensorflow":
        assert other.lookup_resources()[0] is not table.lookup_resources()[0]


def test_config_before_adapt(new_table):
    copy = TabularFeatures.from_config(new_table().get_config())
    assert not copy.adapted
    assert copy.embedding_dim == 4


def test_names_that_configurations_use():
    names = ["class_name", "config", "learned", "config/x"]
    table = TabularFeatures(categorical=names).adapt({name: ["a", "b"] for name in names})
    copy = TabularFeatures.from_config(keras.saving.serialize_keras_object(table)["config"])
    assert [copy.vocabulary(name) for name in names] == [("a", "b")] * 4


def test_plain_names_and_columns_mix():
    table = TabularFeatures(
        [Numeric("a", bins=4)], categorical=["b", Category("c", dim=2)], numeric=["d"]
    )
    assert [column.name for column in table.columns] == ["a", "b", "c", "d"]
    assert repr(table) == (
        "TabularFeatures(2 categories, 2 numbers, 0 sequences; embedding_dim=8, not adapted)"
    )


def test_inputs_are_the_same_for_every_embed(table):
    assert table.embed() is not table.embed()
    assert table.inputs["categorical"] is table.inputs["categorical"]
    assert {n: (i.shape, i.dtype) for n, i in table.inputs.items()} == {
        "categorical": ((None, 7), "int32"),
        "numeric": ((None, 3), "float32"),
        "history": ((None, 3), "int32"),
        "clicks": ((None, 3), "int32"),
    }


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "`columns` must not be empty"),
        ({"columns": ["city"]}, TypeError, "plain names go to `categorical`.*Received: 'city'"),
        ({"numeric": {"age": {"bins": 4}}}, TypeError, "`numeric` must be a list of columns"),
        (
            {"categorical": ["a"], "embeddings_initializer": lambda shape, dtype=None: 0},
            TypeError,
            "`embeddings_initializer` must name or be a Keras initializer",
        ),
        ({"categorical": ["a"], "numeric": ["a"]}, ValueError, r"must be unique.*twice: \['a'\]"),
        ({"categorical": ["numeric"]}, ValueError, r"packed inputs.*Received: \['numeric'\]"),
        (
            {"categorical": ["a"], "embedding_dim": 0},
            ValueError,
            "`embedding_dim`.*embedding_dim=0",
        ),
        (
            {
                "columns": [
                    Category("a", vocabulary="v", dim=2),
                    Sequence("b", vocabulary="v", dim=3),
                ]
            },
            ValueError,
            r"share vocabulary `v` must agree on `dim`. Received: dim=\[2, 3\]",
        ),
        (
            {"columns": [Category("a", ["x"]), Sequence("b", "a", hash_buckets=2)]},
            ValueError,
            "share vocabulary `a` must not both list and hash",
        ),
        (
            {"columns": [Numeric("a"), Sequence("b", vocabulary="a")]},
            ValueError,
            "`vocabulary` must not be the name of a number. Received: 'a'",
        ),
    ],
)
def test_bad_tables(arguments, error, message):
    with pytest.raises(error, match=message):
        TabularFeatures(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Category(""), "`name` must be a non-empty string"),
        (lambda: Category("a", vocabulary=[]), "`vocabulary` must not be empty"),
        (lambda: Category("a", vocabulary=["x", 1]), "all strings or all integers"),
        (lambda: Category("a", vocabulary=["x", b"x"]), "must hold distinct values"),
        (lambda: Category("a", vocabulary=7), "must be a list of strings or of integers"),
        (lambda: Category("a", vocabulary=["x"], hash_buckets=3), "must not both be given"),
        (lambda: Category("a", hash_buckets=0), "`hash_buckets` must be an integer of at least 1"),
        (lambda: Category("a", min_count=0), "`min_count` must be an integer of at least 1"),
        (lambda: Category("a", dim=-1), "`dim` must be an integer of at least 1"),
        (lambda: Category("a", missing=1.5), "`missing` must be a list"),
        (lambda: Sequence("a", max_length=0), "`max_length` must be an integer of at least 1"),
        (lambda: Sequence("a", keep="both"), "`keep` must be one of 'last', 'first'"),
        (lambda: Sequence("a", pooling="max"), "`pooling` must be one of 'mean', None"),
        (lambda: Numeric("a", bins=1), "`bins` must be an integer of at least 2"),
        (lambda: Numeric("a", bins=[2, 1]), "a list of increasing numbers"),
        (lambda: Numeric("a", bins=[]), "a list of increasing numbers"),
        (lambda: Numeric("a", transform="sqrt"), "`transform` must be one of None, 'log'"),
        (
            lambda: Numeric("a", bins=4, transform="log"),
            "`transform` needs encoding=.standard. or .bins.standard.",
        ),
        (lambda: Numeric("a", dim=4, encoding="standard"), "`dim` needs encoding="),
        (
            lambda: Numeric("a", bins=4, encoding="standard"),
            "`bins` needs encoding=",
        ),
        (lambda: Numeric("a", encoding="ple"), "`encoding` must be one of None, 'bins.standard'"),
    ],
)
def test_bad_columns(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"agee": [1.0] * 80, "age": None}, ValueError, "`age` is missing.*Did you mean 'agee'"),
        ({"age": [1.0] * 79}, ValueError, "Columns must have one length.*'age': 79"),
        ({"age": ["old"] * 80}, TypeError, "Column `age` must hold numbers. Received: 'old'"),
        ({"age": [b"1", None] * 40}, TypeError, "Column `age` must hold numbers. Received: b'1'"),
        ({"age": np.zeros((80, 1))}, ValueError, r"`age` must have shape \(B,\).*\(80, 1\)"),
        ({"age": np.zeros(80, "M8[s]")}, TypeError, "Column `age` must hold numbers"),
        ({"city": np.arange(80)}, TypeError, "`city` must hold strings. Received: integers"),
        ({"year": ["2020"] * 80}, TypeError, "`year` must hold integers. Received: strings"),
        ({"year": [float("inf")] * 80}, TypeError, "`year` must hold strings, bytes.*inf"),
        ({"year": [0.5] * 80}, TypeError, "`year` must hold strings, bytes or integers.*0.5"),
        ({"city": [["a"], ["b"]] * 40}, ValueError, r"`city` must have shape \(B,\)"),
        ({"city": ["a", 1] * 40}, TypeError, "strings or integers, not both.*'a' and 1"),
        ({"city": np.array(["a", 1] * 40, object)}, TypeError, "strings or integers, not both"),
        ({"history": ["a"] * 80}, TypeError, "Column `history` must hold lists. Received: 'a'"),
        ({"clicks": [[1, "a"]] * 80}, TypeError, "`clicks` must hold.*not both"),
        ({"clicks": [["a"]] * 80}, TypeError, "`clicks` must hold integers. Received: strings"),
    ],
)
def test_bad_data(table, unseen, change, error, message):
    data = {name: column for name, column in (unseen | change).items() if column is not None}
    with pytest.raises(error, match=message):
        table.encode(data)


@pytest.mark.parametrize("data", [7, [7], np.zeros((2, 2))])
def test_data_that_is_no_table(new_table, data):
    with pytest.raises(TypeError, match="`data` must be a dict of arrays, a DataFrame"):
        new_table().adapt(data)


def test_adapt_without_rows(new_table):
    with pytest.raises(ValueError, match="`data` must hold at least one row"):
        new_table().adapt([])


def test_kinds_that_differ_between_chunks():
    with pytest.raises(TypeError, match="Column `a` must hold strings"):
        TabularFeatures(categorical=["a"]).adapt([{"a": ["x"]}, {"a": [1]}])


def test_given_vocabulary_of_another_kind():
    with pytest.raises(TypeError, match="Column `a` must hold integers"):
        TabularFeatures([Category("a", vocabulary=[1, 2])]).adapt({"a": ["x"]})


def test_missing_marker_of_another_kind():
    with pytest.raises(TypeError, match="`missing` of `a` must hold values"):
        TabularFeatures([Category("a", missing=-1)]).adapt({"a": ["x"]})


@pytest.mark.parametrize(
    "use",
    [
        lambda table: table.encode({}),
        lambda table: table.encode_tensors({}),
        lambda table: table.embed(),
        lambda table: table.inputs,
        lambda table: table.serving_signature(),
        lambda table: table.lookup_resources(),
    ],
)
def test_use_before_adapt(new_table, use):
    with pytest.raises(ValueError, match="`adapt` must be called first"):
        use(new_table())


def test_adapt_after_embed(table, train):
    table.embed()
    with pytest.raises(ValueError, match="`adapt` must come before `embed`"):
        table.adapt(train)


def test_vocabulary_of_no_category(table):
    with pytest.raises(ValueError, match=r"category or sequence of this table.*mean 'city'"):
        table.vocabulary("citi")
