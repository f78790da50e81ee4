"""Columns, tables and their embedding, each in a model that takes the raw columns when served."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from keras_mtl import MultiTaskModel, features, zoo
from tests.conformance.case import GUARANTEES, Anew, Arrays, Case
from tests.conformance.cases.layers import TASKS
from tests.conformance.draws import labels

ON_ROWS = {"slices": "its embeddings are rows of one matrix, not slices of a stack"}
NOT_ALL_ROWS = {"trained": "rows of padding, or of values that its batches lack, have no gradient"}
ALL_ROWS = {
    "Category",
    "Category given",
    "Numeric",
    "Numeric bins",
    "Numeric standard",
    "Numeric log",
}
ALL_ROWS |= {"TabularFeatures options"}
"""Cases whose batches hold every value that their tables have a row for."""


def raw(rows: int, seed: int) -> Arrays:
    """Raw columns with gaps; seeds above 0 bring values that were never seen."""
    generator = np.random.default_rng(seed)
    words = ["Rome", "Oslo", "Bern", "", *(["Nowhere"] if seed else [])]
    age = generator.normal(40, 12, rows).astype("float32")
    age[generator.random(rows) < 0.2] = np.nan
    return {
        "city": generator.choice(words, rows).astype(object),
        "zip": generator.integers(0, 5 + 2 * bool(seed), rows),
        "age": age,
        "seen": generator.choice(words, (rows, 4)).astype(object),
    }


def learned(table: features.TabularFeatures) -> features.TabularFeatures:
    """The table, adapted to the raw columns that it names."""
    return table.adapt(chosen(60, 0, table))


def chosen(rows: int, seed: int, table: features.TabularFeatures) -> Arrays:
    read = {column.name for column in table.columns}
    return {name: values for name, values in raw(rows, seed).items() if name in read}


def on_table(
    public: str,
    option: str,
    weights: int,
    table: Callable[[], features.TabularFeatures],
    model: Callable[[int], MultiTaskModel] | None = None,
    /,
    **arguments: Any,
) -> Case:
    """The case of a name that makes a table, a column of one, or its embedding."""
    return Case(
        public=f"features.{public}",
        option=option,
        arguments=arguments,
        weights=weights,
        model=model or (lambda seed: zoo.shared_bottom(table(), TASKS, tower_units=4, seed=seed)),
        inputs=lambda rows, seed: unwrapped(table().encode(chosen(rows, seed, table()))),
        raw=lambda rows, seed: chosen(rows, seed, table()),
        labels=labels(TASKS),
        exempt=ON_ROWS | ({} if f"{public} {option}".strip() in ALL_ROWS else NOT_ALL_ROWS),
    )


def unwrapped(packed: Arrays) -> Any:
    """One input is a plain array."""
    return next(iter(packed.values())) if len(packed) == 1 else packed


def column(kind: Any, option: str, weights: int = 11, **arguments: Any) -> Case:
    """The case of a column."""

    def table() -> features.TabularFeatures:
        return learned(features.TabularFeatures([kind(**arguments)], embedding_dim=3))

    return on_table(kind.__name__, option, weights, table, **arguments)


def cases() -> Iterator[Case]:
    """Every column with every option; whole tables; the layer that embeds them."""
    yield column(features.Category, "", name="city")
    yield column(
        features.Category, "given", name="city", vocabulary=["Rome", "Oslo"], dim=2, missing="Bern"
    )
    yield column(features.Category, "hashed", name="zip", hash_buckets=3, min_count=1)
    yield column(features.Category, "frequent", name="zip", min_count=12)
    yield column(features.Numeric, "", name="age")
    yield column(features.Numeric, "bins", name="age", bins=4, dim=2)
    yield column(features.Numeric, "standard", 10, name="age", encoding="standard")
    yield column(features.Numeric, "log", 10, name="age", transform="log", encoding="standard")
    yield column(features.Sequence, "", name="seen")
    shared = {"vocabulary": "word", "min_count": 2, "dim": 2, "missing": "Bern", "max_length": 3}
    yield column(features.Sequence, "options", name="seen", **shared)
    yield column(features.Sequence, "hashed", name="seen", hash_buckets=3)
    yield column(features.Sequence, "first", name="seen", keep="first", max_length=2)
    ngrams = {"ngrams": (2, 3), "ngram_buckets": 20, "max_ngrams": 5}
    yield column(features.Sequence, "ngrams", name="seen", min_count=2, max_length=3, **ngrams)
    yield on_table("Sequence", "whole", 11, tokens, on_tokens, name="seen", pooling=None)
    yield from tables()
    yield Case(
        public="features.TableStatistics",
        arguments={"columns": [features.Numeric("age")], "specs": {}},
        exempt=dict.fromkeys(WITHOUT_MODEL, "it counts values and is thrown away after `adapt`"),
    )


WITHOUT_MODEL = GUARANTEES.keys() - {"docstring"}


def tables() -> Iterator[Case]:
    """Tables, by either way of naming columns, and what embeds them."""
    options = {
        "columns": [features.Sequence("seen", vocabulary="city")],
        "categorical": ["city"],
        "numeric": ["age"],
        "embedding_dim": 3,
        "embeddings_initializer": Anew(lambda: keras.initializers.HeNormal(seed=3)),
        "embeddings_regularizer": Anew(lambda: keras.regularizers.L2(0.1)),
        "seed": 4,
    }
    several = on_table(
        "TabularFeatures", "options", 11, lambda: learned(several.make()), None, **options
    )
    yield on_table("TabularFeatures", "", 11, whole, categorical=["city"])
    yield several
    yield on_table("TabularEmbedding", "", 11, whole, embedded, table=Anew(whole))
    yield on_table(
        "TabularEmbedding", "apart", 13, whole, apart, table=Anew(whole), concatenate=False, seed=3
    )


def whole() -> features.TabularFeatures:
    """A table with a column of each kind."""
    columns = [
        features.Category("city"),
        features.Category("zip", hash_buckets=4),
        features.Numeric("age"),
        features.Sequence("seen", vocabulary="city"),
    ]
    return learned(features.TabularFeatures(columns, embedding_dim=3))


def embedded(seed: int) -> MultiTaskModel:
    table = whole()
    layer = features.TabularEmbedding(table, seed=seed)
    return zoo.shared_bottom(layer(table.inputs), TASKS, tower_units=4, seed=seed)


def apart(seed: int) -> MultiTaskModel:
    """Columns as tensors of their own, in a graph of one's own."""
    table = whole()
    vectors = features.TabularEmbedding(table, concatenate=False, seed=seed)(table.inputs)
    return zoo.mmoe(vectors, TASKS, num_experts=2, expert_units=4, tower_units=4, seed=seed)


def tokens() -> features.TabularFeatures:
    columns = [features.Sequence("seen", pooling=None, max_length=3)]
    return learned(features.TabularFeatures(columns, embedding_dim=3))


def on_tokens(seed: int) -> MultiTaskModel:
    """A masked sequence of vectors, in a graph of one's own."""
    vectors = tokens().embed(concatenate=False, seed=seed)["seen"]
    pooled = keras.layers.GlobalAveragePooling1D()(vectors)
    return zoo.shared_bottom(pooled, TASKS, tower_units=4, seed=seed)
