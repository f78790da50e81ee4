"""Raw columns that no table should meet: the ids of the oracle, or a sentence; twice the same."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures
from tests.features.plain_encoding import hash_value, identify, pad
from tests.hostile.outcomes import refusal

quick = settings(max_examples=40, deadline=None, derandomize=True, database=None)
many = settings(max_examples=500, deadline=None, database=None)

WORDS = ["a", "b", "ü", "東京", "?", "a\0", "\0", " ", "A" * 300]
NUMBERS = [1, 2, 3, 0, 2**53 + 1, -(2**63) + 1, 2**63 - 1]
BUCKETS = 7
TRAIN = {
    "word": WORDS,
    "number": [*NUMBERS, 1, 1],
    "hashed word": WORDS,
    "hashed number": [*NUMBERS, 1, 1],
    "plain": [float(i) for i in range(9)],
    "log": [float(i) for i in range(9)],
    "bins": [0.5, 1.5, np.nan] * 3,
    "both": [0.5, 1.5, np.nan] * 3,
    "words": [["a"], ["b", "a"], []] * 3,
    "numbers": [[1], [2, 3], []] * 3,
}


@pytest.fixture(scope="module")
def table():
    return TabularFeatures(
        [
            Category("word", vocabulary=WORDS, missing="?"),
            Category("number"),
            Category("hashed word", hash_buckets=BUCKETS),
            Category("hashed number", hash_buckets=BUCKETS),
            Numeric("plain", encoding="standard"),
            Numeric("log", transform="log", encoding="standard"),
            Numeric("bins", bins=[0.0, 1.0]),
            Numeric("both", bins=[0.0, 1.0], encoding="bins+standard"),
            Sequence("words", vocabulary=["b", "a"], max_length=2),
            Sequence("numbers", vocabulary=[3, 1], max_length=2),
        ],
        embedding_dim=2,
    ).adapt(TRAIN)


def only(name, column):
    """Data of as many harmless rows, with one hostile column."""
    data = {other: values[:1] * len(column) for other, values in TRAIN.items()}
    return data | {name: column}


# --- by the definition, in NumPy and in TensorFlow ---

TEXTS = st.one_of(
    st.sampled_from([*WORDS, "", None]),
    st.text(st.characters(), max_size=4),  # also halves of surrogate pairs
    st.binary(max_size=4),
    st.sampled_from([float("nan"), pd.NA, pd.NaT, np.str_("b"), np.bytes_(b"a")]),
)
WHOLE = st.one_of(
    st.sampled_from([*NUMBERS, -(2**63), None, float("nan"), pd.NA, 2.0, True]),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([np.int8(1), np.uint16(3), np.float32(2), np.int64(-(2**63))]),
)
BEYOND = 10**400  # of what a float can be
LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float64).smallest_normal)
FLOATS = st.one_of(
    st.floats(),
    st.sampled_from([1e-40, -1e-40, 1e-45, 1e-320, -1e-320, 5e-324]),
    st.integers(-(2**64), 2**64),
    st.sampled_from([None, pd.NA, True, decimal.Decimal("1.5"), BEYOND, np.float16(3), 3.4e38]),
)


def no_value(value):
    return value is None or value is pd.NA or value is pd.NaT or value != value


def as_plain(value):
    if no_value(value):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float | bool) else value


def hashed(value):
    if value is None or value in ("", b"", -(2**63)):
        return 0
    return 1 + hash_value(value) % BUCKETS


def utf8(value):
    """What a client sends for a text; None where it cannot be sent."""
    try:
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


def in_tensorflow(table, name, values, dtype):
    data = only(name, [0] * len(values))
    sequence = {"words": tf.string, "numbers": tf.int64}
    tensors = {
        other: tf.ragged.constant(column, sequence[other], ragged_rank=1)
        if other in sequence
        else tf.constant(column)
        for other, column in data.items()
        if other != name
    }
    made = tf.ragged.constant(values, dtype, ragged_rank=1) if name in sequence else None
    tensors[name] = tf.constant(values, dtype) if made is None else made
    return {key: value.numpy() for key, value in table.encode_tensors(tensors).items()}


def same(ours, theirs):
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-6)


def check_texts(table, values):
    plain = [as_plain(value) for value in values]
    ids = table.encode(only("word", values))["categorical"][:, 0].tolist()
    known = [word for word in WORDS if word != "?"]
    assert ids == [identify(value, known, ("?",)) for value in plain]
    buckets = table.encode(only("hashed word", values))["categorical"][:, 2].tolist()
    sent = ["" if value is None else utf8(value) for value in plain]
    if None not in sent:
        assert buckets == [hashed(value) for value in plain]
        if values:
            for name in ("word", "hashed word"):
                same(table.encode(only(name, values)), in_tensorflow(table, name, sent, tf.string))


def check_whole_numbers(table, values):
    plain = [as_plain(value) for value in values]
    ids = table.encode(only("number", values))["categorical"][:, 1].tolist()
    assert ids == [identify(value, table.vocabulary("number")) for value in plain]
    buckets = table.encode(only("hashed number", values))["categorical"][:, 3].tolist()
    assert buckets == [hashed(value) for value in plain]
    sent = [-(2**63) if value is None else value for value in plain]
    if values:
        for name in ("number", "hashed number"):
            same(table.encode(only(name, values)), in_tensorflow(table, name, sent, tf.int64))


def as_float(value):
    """What a client sends for a number: NaN where it means none, or none that float32 has.

    What lies below the smallest normal number is 0.
    """
    number = np.nan if no_value(value) else np.inf if value is BEYOND else float(value)
    number = 0.0 if abs(number) < SMALLEST else number
    return number if abs(number) <= LARGEST and number != -(2.0**63) else np.nan


def check_floats(table, values):
    sent = [as_float(value) for value in values]
    for place, name in enumerate(("plain", "log", "both")):
        packed = table.encode(only(name, values))
        assert np.isfinite(packed["numeric"]).all()
        assert not packed["numeric"][np.isnan(sent), place].any()
        if values:
            same(packed, in_tensorflow(table, name, sent, tf.float64))
    expected = [1 + sum(edge <= v for edge in (0, 1)) if np.isfinite(v) else 0 for v in sent]
    for place, name in enumerate(("bins", "both"), start=4):
        packed = table.encode(only(name, values))
        assert packed["categorical"][:, place].tolist() == expected
        if values:
            same(packed, in_tensorflow(table, name, sent, tf.float64))


def check_sequences(table, rows):
    plain = [[as_plain(value) for value in row] for row in rows]
    ids = table.encode(only("words", rows))["words"].tolist()
    assert ids == [pad(row, ["b", "a"], 2) for row in plain]
    sent = [["" if value is None else utf8(value) for value in row] for row in plain]
    if rows and not any(None in row for row in sent):
        same(table.encode(only("words", rows)), in_tensorflow(table, "words", sent, tf.string))


CHECKS = [
    (check_texts, TEXTS),
    (check_whole_numbers, WHOLE),
    (check_floats, FLOATS),
    (check_sequences, st.lists(TEXTS, max_size=4)),
]
CASES = st.sampled_from(CHECKS).flatmap(
    lambda case: st.tuples(st.just(case[0]), st.lists(case[1], max_size=5))
)


@quick
@given(CASES)
def test_any_values_have_the_ids_of_the_definition_in_numpy_and_tensorflow(table, case):
    check, values = case
    check(table, values)


@pytest.mark.slow
@many
@given(CASES)
def test_many_values_have_the_ids_of_the_definition_in_numpy_and_tensorflow(table, case):
    check, values = case
    check(table, values)


# --- what a column may not be ---


class Thing:
    """Nothing that a column may hold."""


REFUSED = {
    "word": [
        *(None, 5, "abc", {"a"}, ["a", 1], [1, 2], [True], [1.0], [[1]], [("a",)], [3 + 1j]),
        *([Thing()], [datetime.date(2020, 1, 1)], np.array([["a"]]), np.array("a")),
        *(pd.to_datetime(["2020"]), pd.Series(pd.to_datetime(["2020", None])), [["a"], ["b", 1]]),
    ],
    "number": [
        *(["1"], [1.5], [float("inf")], np.array([np.inf]), [2, "3"], [b"1"], [3 + 1j], [Thing()]),
        *(np.array([1], "datetime64[s]"), np.array([1], "timedelta64[s]"), [[1]], [[1], [2, 3]]),
    ],
    "hashed number": [[1.5], ["1"], [Thing()]],
    "plain": [
        *(["1"], [1, "2"], [b"1"], [3 + 1j], [Thing()], [[1]], [[1], [2, 3]], None, 5),
        *(np.ones((2, 1)), pd.to_datetime(["2020"]), np.array([1], "timedelta64[s]"), [""]),
    ],
    "words": [
        *(["a"], [5], [1.5], [Thing()], [np.array("a")], [{"a"}], [{"a": 1}], [["a", 1]]),
        *([[["a"]]], [np.array([["a"]])], np.array(["a"]), None, 5, "ab", [b"a"]),
    ],
    "numbers": [[["1"]], [[1.5]], np.array([[1.5]]), [[1, "a"]], [[Thing()]]],
}


@pytest.mark.parametrize("name", REFUSED)
def test_columns_that_are_none(table, name):
    for column in REFUSED[name]:
        sized = isinstance(column, list) or bool(getattr(column, "ndim", 0))
        length = len(column) if sized else 1
        data = only(name, [0] * length) | {name: column}
        sentence = refusal(lambda data=data: table.encode(data))
        assert sentence is not None, column
        assert name in sentence, sentence
        refusal(lambda data=data: table.statistics().update(data))  # a new table may learn it


def test_columns_of_pandas(table):
    def ids(name, column, place):
        return table.encode(only(name, column))["categorical"][:, place].tolist()

    for column in (
        pd.Series(["a", None, "zz"]),
        pd.Series(["a", None, "zz"], dtype="category"),
        pd.Series(["a", pd.NA, "zz"], dtype="string"),
        pd.Categorical(["a", None, "zz"]),
        pd.Index(["a", None, "zz"]),
    ):
        assert ids("word", column, 0) == [2, 0, 1]
    first = table.vocabulary("number").index(1) + 2
    for column in (
        pd.Series([1, None, 9]),
        pd.Series([1, None, 9], dtype="Int64"),
        pd.array([1, None, 9], "Int64"),
        pd.Series([1, None, 9], dtype="category"),
    ):
        assert ids("number", column, 1) == [first, 0, 1]
    for column in (pd.Series([4, None], dtype="Int64"), pd.Series([4.0, None], dtype="category")):
        assert table.encode(only("plain", column))["numeric"][:, 0].tolist() == [0.0, 0.0]


def test_tables_with_other_columns(table):
    frame = pd.DataFrame(TRAIN)
    assert "must have shape (B,)" in refusal(
        lambda: table.encode(pd.concat([frame, frame[["word"]]], axis=1))
    )
    assert "Column `word` is missing" in refusal(lambda: table.encode(frame.drop(columns="word")))
    same(table.encode(frame.assign(more=1)), table.encode(frame))
    renamed = frame.rename(columns={"word": "wort"})
    assert "Did you mean 'wort'?" in refusal(lambda: table.encode(renamed))
    assert "one length" in refusal(lambda: table.encode(TRAIN | {"word": ["a"]}))
    for data in (None, 5, [TRAIN], np.ones((3, 3)), "abc", [1]):
        assert "Argument `data` must be" in refusal(lambda data=data: table.encode(data))
    for data in (None, 5, "abc", [1]):
        new = TabularFeatures(categorical=["a"])
        assert "Argument `data` must be" in refusal(lambda data=data, new=new: new.adapt(data))
    for data in ([], {"a": []}, [{"a": []}]):
        new = TabularFeatures(categorical=["a"])
        assert "at least one row" in refusal(lambda data=data, new=new: new.adapt(data))


def test_no_rows(table):
    packed = table.encode({name: column[:0] for name, column in TRAIN.items()})
    shapes = {name: value.shape for name, value in packed.items()}
    assert shapes == {
        "categorical": (0, 6),
        "numeric": (0, 3),
        "words": (0, 2),
        "numbers": (0, 2),
    }
    same(packed, in_tensorflow_empty(table))


def in_tensorflow_empty(table):
    signature = table.serving_signature()
    empty = {name: tf.zeros([0] * len(s.shape), tf.int64) for name, s in signature.items()}
    empty = {
        name: tf.as_string(value) if signature[name].dtype == tf.string
        else tf.cast(value, signature[name].dtype)
        for name, value in empty.items()
    }  # fmt: skip
    return {name: value.numpy() for name, value in table.encode_tensors(empty).items()}


# --- integers that no served tensor holds ---


def test_integers_beyond_64_bits_are_unknown_or_hashed_but_not_learned(table):
    huge = [2**63, 2**64 - 1, 10**30, -(10**30)]
    assert table.encode(only("number", huge))["categorical"][:, 1].tolist() == [1] * 4
    buckets = table.encode(only("hashed number", huge))["categorical"][:, 3].tolist()
    assert buckets == [hashed(value) for value in huge]
    unsigned = np.array([2**63, 2**64 - 1], "uint64")
    assert table.encode(only("number", unsigned))["categorical"][:, 1].tolist() == [1, 1]
    for learned in ([2**63], [10**30], np.array([2**64 - 1], "uint64")):
        new = TabularFeatures(categorical=["a"])
        sentence = refusal(lambda new=new, learned=learned: new.adapt({"a": learned}))
        assert "64-bit integers with a sign" in sentence
    assert "integers of 64 bits" in refusal(lambda: Category("a", vocabulary=[2**63]))
    assert "integers of 64 bits" in refusal(lambda: Category("a", missing=[-(2**63) - 1]))


# --- tensors ---

TENSORS = {
    "fractions of an integer column": ("number", [1.5], tf.float32, "must hold integers"),
    "infinite integers": ("number", [np.inf], tf.float64, "must hold integers"),
    "fractions of hashed integers": ("hashed number", [1.5], tf.float64, "must hold integers"),
    "fractions in a sequence": ("numbers", [[1.5]], tf.float32, "must hold integers"),
    "unsigned integers": ("number", [1], tf.uint64, "must be of type int64. Received: uint64"),
    "texts of integers": ("number", ["1"], tf.string, "must be of type int64. Received: string"),
    "integers of texts": ("word", [1], tf.int32, "must be of type string. Received: int32"),
    "texts of numbers": ("plain", ["1"], tf.string, "must be of type float64. Received: string"),
    "complex numbers": ("plain", [1j], tf.complex64, "must be of type float64"),
    "a matrix": ("word", [["a"]], tf.string, "must have shape (B,)"),
    "rows of another length": ("word", ["a", "b"], tf.string, "must have one length"),
}


@pytest.mark.parametrize(("name", "values", "dtype", "match"), TENSORS.values(), ids=TENSORS)
def test_tensors_that_are_no_columns(table, name, values, dtype, match):
    rows = values[:1]
    if match == "must have one length":
        packed = {other: tf.constant(column[:1]) for other, column in TRAIN.items()
                  if other not in ("words", "numbers")}  # fmt: skip
        packed |= {"words": tf.constant([["a"]]), "numbers": tf.constant([[1]])}
        sentence = refusal(lambda: table.encode_tensors(packed | {name: tf.constant(values)}))
    else:
        sentence = refusal(lambda: in_tensorflow(table, name, rows, dtype))
    assert sentence is not None
    assert match in sentence


def test_whole_floats_of_an_integer_column(table):
    packed = in_tensorflow(table, "number", [1.0, np.nan, 9.0], tf.float32)
    same(table.encode(only("number", [1.0, np.nan, 9.0])), packed)


def test_fractions_stop_a_dataset(table):
    rows = {name: column[:1] for name, column in TRAIN.items()}
    rows |= {"words": [["a"]], "numbers": [[1]], "number": [1.5]}
    encoded = tf.data.Dataset.from_tensors(rows).map(table.encode_tensors)
    with pytest.raises(tf.errors.InvalidArgumentError, match="`number` must hold integers"):
        next(iter(encoded))


def test_a_missing_tensor(table):
    rows = {name: tf.constant(column[:1]) for name, column in TRAIN.items() if name[-1] != "s"}
    rows |= {"words": None, "numbers": tf.constant([[1]]), "bins": tf.constant([1.0])}
    assert "`words` must be a tensor. Received: None" in refusal(lambda: table.encode_tensors(rows))


# --- names and numbers of tables ---


def test_names_of_columns():
    for name in ("a/b", "a b", "ü", "a.b", "a:b", "\0", "loss"):
        table = TabularFeatures(categorical=[name], embedding_dim=2).adapt({name: ["x"]})
        assert table.embed().shape == (None, 2)
    assert "must not hold '/'" in refusal(lambda: Sequence("a/b"))
    assert "`categorical` must be a list" in refusal(lambda: TabularFeatures(categorical="abc"))


def test_numbers_that_float32_cannot_standardise_count_as_missing():
    table = TabularFeatures(numeric=["n", "tiny"])
    table.adapt({"n": [-3e38, -3e38], "tiny": [0.0, 1e-45]})
    rows = {"n": [3e38, -3e38], "tiny": [1.0, 0.0]}
    packed = table.encode(rows)["numeric"]
    assert np.isfinite(packed).all()
    assert packed[0, 1] == 0
    tensors = {name: tf.constant(column, tf.float64) for name, column in rows.items()}
    np.testing.assert_allclose(packed, table.encode_tensors(tensors)["numeric"].numpy())


def test_columns_without_any_value():
    data = {"a": [None, float("nan")], "n": [np.nan, np.inf], "b": [np.nan, None], "s": [[], None]}
    columns = [
        Category("a"),
        Numeric("n", encoding="standard"),
        Numeric("b", bins=4),
        Sequence("s", max_length=2),
    ]
    table = TabularFeatures(columns, embedding_dim=2).adapt(data)
    packed = table.encode({"a": ["x", None], "n": [1.0, None], "b": [1.0, None], "s": [["x"], []]})
    assert packed["categorical"].tolist() == [[1, 1], [0, 0]]
    assert packed["numeric"].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert packed["s"].tolist() == [[1, 0], [0, 0]]
