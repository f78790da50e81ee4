"""What a raw column is: a category, a number, or a sequence of categories."""

import dataclasses
import sys
from collections.abc import Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from keras_mtl.api_export import keras_mtl_export
from keras_mtl.checks import check_choice, check_integer, check_positive, shown
from keras_mtl.features.ngrams import NgramBuckets
from keras_mtl.features.reading import SMALLEST
from keras_mtl.features.values import Value, check_values

# how a number is encoded: `Numeric` says what they are
BINS_STANDARD, BINS, STANDARD = NUMBER_ENCODINGS = ("bins+standard", "bins", "standard")
DEFAULT_BINS = 64

_MOST = sys.float_info.max


@dataclasses.dataclass(frozen=True)
class Column:
    """What every column has: the name that raw data, errors and the served signature use."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(
                f"Argument `name` must be a non-empty string. Received: name={self.name!r}"
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Column":
        """The column that `get_config` described."""
        return cls(**config)

    def _set(self, **checked: Any) -> None:
        for name, value in checked.items():
            object.__setattr__(self, name, value)


@dataclasses.dataclass(frozen=True)
class VocabularyColumn(Column):
    """What categories and sequences share: where their ids and embeddings come from."""

    vocabulary: str | tuple[Value, ...] | None = None
    hash_buckets: int | None = None
    min_count: int = 1
    dim: int | None = None
    missing: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocabulary is not None and not isinstance(self.vocabulary, str):
            self._set(vocabulary=check_values("vocabulary", self.vocabulary))
            if not self.vocabulary:
                raise ValueError("Argument `vocabulary` must not be empty. Received: vocabulary=()")
        if self.hash_buckets is not None:
            self._set(hash_buckets=check_positive("hash_buckets", self.hash_buckets))
            if isinstance(self.vocabulary, tuple):
                raise ValueError(
                    "Arguments `vocabulary` and `hash_buckets` must not both be given: hashing "
                    f"keeps no list of values. Received: hash_buckets={self.hash_buckets}, "
                    f"vocabulary={self.vocabulary!r}"
                )
        self._set(min_count=check_positive("min_count", self.min_count))
        if self.dim is not None:
            self._set(dim=check_positive("dim", self.dim))
        markers = (self.missing,) if isinstance(self.missing, str | Integral) else self.missing
        self._set(missing=check_values("missing", markers))

    @property
    def vocabulary_name(self) -> str:
        """The name under which columns share ids and embeddings; by default the column's own."""
        return self.vocabulary if isinstance(self.vocabulary, str) else self.name


@keras_mtl_export
@dataclasses.dataclass(frozen=True)
class Category(VocabularyColumn):
    """A column of strings, bytes or integers, embedded as one vector per value.

    id(value) = 0 where the value is missing, 1 where it is not in the vocabulary V, 2 + its
    position in V otherwise; with hashing 0 where missing, 1 + hash(value) mod `hash_buckets`
    otherwise. Missing are None, NaN, pandas' NA, the empty string, the smallest 64-bit integer, and
    whatever `missing` lists. Bytes are UTF-8 strings. Floats are taken where they are whole
    numbers, as pandas makes of integers with gaps.

    Args:
        name: The raw column.
        vocabulary: A list of all values; or a name, under which several columns share one
            vocabulary and one set of embeddings; or None: learned from the data, most frequent
            value first, under `name`.
        hash_buckets: Number of buckets to hash values into, instead of a vocabulary.
        min_count: Values seen less often than this share the out-of-vocabulary id.
        dim: Width of the embedding; None takes the table's `embedding_dim`.
        missing: Further values that mean "missing", e.g. `"?"` or `-1`; `adapt` warns of those that
            never occur.

    Raises:
        ValueError: For an argument of the wrong type or range.

    Example:

    >>> Category("city", min_count=5, missing="?").missing
    ('?',)
    """


@keras_mtl_export
@dataclasses.dataclass(frozen=True)
class Sequence(VocabularyColumn):
    """A column whose rows are lists of categories, such as a user's last purchases.

    Missing entries are dropped, the last `max_length` of the others, or the first, are kept in
    order, and 0 pads on the right. `pooling="mean"` gives
    m = sum_s [id_s > 0] e_s / max(1, sum_s [id_s > 0]), so an empty list is the zero vector.

    With `ngrams=(n, m)`, a word the vocabulary does not know still has its characters: the vector
    of entry s is e_s + sum_{g in G_s} z_g / max(1, |G_s|). G_s are the substrings of n to m
    characters of "<word>", in which "<" and ">" mark beginning and end, by start and then by
    length; of more than `max_ngrams` the first and the last halves stay. z_g is row 1 + hash(g) mod
    `ngram_buckets` of embeddings of their own, which sequences of one vocabulary and with equal
    `ngrams` and `ngram_buckets` share. e is that of id 1 for every unknown word: it is trained only
    where `min_count` makes some unknown in training too.

    Args:
        name: The raw column: rows of lists, or an array (B, S) padded with missing values (`""`, or
            what `missing` lists: `missing=0` for integers padded with zeros).
        vocabulary: As in `Category`; the name of a `Category` shares that column's ids and
            embeddings.
        hash_buckets: As in `Category`.
        min_count: As in `Category`.
        dim: As in `Category`.
        missing: As in `Category`.
        max_length: S, entries kept per row.
        keep: Which of more entries stay: the "last", as of a history, or the "first", as of a text
            whose words have labels.
        pooling: "mean", (B, dim); or None, (B, S, dim) with a Keras mask.
        ngrams: Shortest and longest character n-grams, of a column of strings; None for none.
        ngram_buckets: Number of buckets to hash n-grams into.
        max_ngrams: G, n-grams kept per entry. A word of c characters has c + 3 - n of n characters.

    Packed shape: int32 (B, S); with `ngrams` (B, S, 1 + G), an entry's id and those of its n-grams.

    Raises:
        ValueError: For an argument of the wrong type or range.

    Example:

    >>> Sequence("history", vocabulary="item", max_length=50).vocabulary_name
    'item'
    >>> Sequence("words", max_length=64, pooling=None, ngrams=(2, 4)).packed_shape
    (64, 25)

    Reference:
        Bojanowski et al., "Enriching Word Vectors with Subword Information", TACL 2017, section
        3.2. Departures: the n-grams' mean in place of their sum, so that a vector's length does not
        grow with the word's; the word itself is no part of that mean; a bound on n-grams per word,
        which static shapes need; n-grams of one character include the bare marks; this package's
        hash in place of FNV-1a; 2^14 buckets and not 2 million.
    """

    max_length: int = 50
    keep: str = "last"
    pooling: str | None = "mean"
    ngrams: tuple[int, int] | None = None
    ngram_buckets: int = 2**14
    max_ngrams: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        if "/" in self.name:
            raise ValueError(
                "Argument `name` of a sequence must not hold '/': an input of the model bears it. "
                f"Received: name={self.name!r}"
            )
        self._set(max_length=check_positive("max_length", self.max_length))
        check_choice("keep", self.keep, ("last", "first"))
        check_choice("pooling", self.pooling, ("mean", None))
        if self.ngrams is not None:
            self._set(ngrams=check_ngrams(self.ngrams))
        self._set(ngram_buckets=check_positive("ngram_buckets", self.ngram_buckets))
        self._set(max_ngrams=check_positive("max_ngrams", self.max_ngrams))

    @property
    def ngram_source(self) -> NgramBuckets | None:
        """Where the ids of n-grams come from."""
        return self.ngrams and NgramBuckets(*self.ngrams, self.ngram_buckets)

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """Shape of the packed tensor, without the batch axis."""
        return (self.max_length, 1 + self.max_ngrams) if self.ngrams else (self.max_length,)


@keras_mtl_export
@dataclasses.dataclass(frozen=True)
class Numeric(Column):
    """A column of numbers: the vector of its quantile bin and the number, standardised.

    Quantile bins: id(x) = 0 where x is missing, 1 + the number of edges <= x otherwise, which is
    embedded as a category's id is. Every bin holds about the same number of rows, a value more
    frequent than that gets a bin of its own, and none is empty.

    Standardised: z = (f(x) - mean f) / std f, where f(x) = x, or sign(x) log(1 + |x|) with
    `transform="log"`, all in float64; z = 0 where x is missing or float32 cannot hold z.

    Missing are NaN, None, the smallest 64-bit integer, and numbers beyond float32. Numbers below
    the smallest normal one of float64 are 0.

    | `encoding` | the column as the model sees it | width |
    |---|---|---|
    | "bins+standard" | E[id(x)], z | dim + 1 |
    | "bins" | E[id(x)] | dim |
    | "standard" | z; if the adapted data had missing values, 1 where x is missing | 1 or 2 |

    Seven encodings were compared on validation rows at an equal number of parameters, piecewise
    linear and periodic ones among them. On Census-Income bins are best, with the number or without
    it. On recordings of patients who are known, the default has 0.57 of the squared error of
    standardised numbers and 0.87 of that of bins; one periodic encoding has 0.25, but .0031 less of
    income's AUC on Census-Income. On patients who are not known, no difference is clear.

    Args:
        name: The raw column.
        bins: Number of quantile bins (at most as many as there are distinct values), or their inner
            edges as an increasing list; None takes 64.
        transform: None or "log": what is standardised. Quantiles do not change under it.
        dim: Width of a bin's embedding; None takes the table's `embedding_dim`.
        encoding: "bins+standard", "bins" or "standard". None takes "bins+standard", but "bins"
            where `bins` is given: `bins=32` alone gives bins only.

    Raises:
        ValueError: For an argument of the wrong type or range, or one that the encoding does not
            use.

    Example:

    >>> Numeric("age").encoding, Numeric("age").bins
    ('bins+standard', 64)
    >>> Numeric("age", encoding="standard")
    Numeric(name='age', bins=None, transform=None, dim=None, encoding='standard')

    Reference:
        Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
        Learning", NeurIPS 2022, section 3, for the encodings that were compared.
    """

    bins: int | tuple[float, ...] | None = None
    transform: str | None = None
    dim: int | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("encoding", self.encoding, (None, *NUMBER_ENCODINGS))
        if self.encoding is None:
            self._set(encoding=BINS_STANDARD if self.bins is None else BINS)
        self._check_bins()
        self._check_transform()
        self._check_dim()

    @property
    def binned(self) -> bool:
        """Whether the id of a bin is embedded."""
        return self.encoding != STANDARD

    @property
    def standardized(self) -> bool:
        """Whether the number itself is a feature."""
        return self.encoding != BINS

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Numeric":
        """The column that `get_config` described; a file from before `encoding` does not say it."""
        return cls(**{"encoding": old_encoding(config.get("bins"))} | config)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The same for pickle."""
        self.__dict__.update({"encoding": old_encoding(state["bins"])} | state)

    def _check_bins(self) -> None:
        if isinstance(self.bins, Iterable) and not isinstance(self.bins, str):
            self._set(bins=check_edges(self.bins))
        elif self.bins is not None:
            self._set(bins=check_integer("bins", self.bins, minimum=2))
        if self.bins is not None and not self.binned:
            raise ValueError(
                'Argument `bins` needs encoding="bins" or "bins+standard". '
                f"Received: bins={self.bins!r}, encoding={self.encoding!r}"
            )
        if self.bins is None and self.binned:
            self._set(bins=DEFAULT_BINS)

    def _check_transform(self) -> None:
        check_choice("transform", self.transform, (None, "log"))
        if self.transform is not None and not self.standardized:
            raise ValueError(
                'Argument `transform` needs encoding="standard" or "bins+standard": it moves no '
                f"quantile. Received: transform={self.transform!r}, bins={self.bins!r}, "
                f"encoding={self.encoding!r}"
            )

    def _check_dim(self) -> None:
        if self.dim is None:
            return
        self._set(dim=check_positive("dim", self.dim))
        if not self.binned:
            raise ValueError(
                'Argument `dim` needs encoding="bins" or "bins+standard": only bins are embedded. '
                f"Received: dim={self.dim}, encoding={self.encoding!r}"
            )


def old_encoding(bins: Any) -> str:
    """What encoded numbers while `encoding` was no argument: files of that time do not say."""
    return STANDARD if bins is None else BINS


def check_ngrams(lengths: Any) -> tuple[int, int]:
    """Returns the shortest and the longest length of n-grams."""
    pair = tuple(lengths) if isinstance(lengths, list | tuple) else ()
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in pair)
    if len(pair) != 2 or not whole or not 1 <= pair[0] <= pair[1]:
        raise ValueError(
            "Argument `ngrams` must be two integers, the shortest length of at least 1 and the "
            f"longest, which is no less. Received: ngrams={lengths!r}"
        )
    return int(pair[0]), int(pair[1])


def check_edges(edges: Iterable[Any]) -> tuple[float, ...]:
    """Returns the inner edges of bins as floats that increase."""
    listed = list(edges)
    valid = bool(listed) and all(_is_finite(edge) for edge in listed)
    numbers = tuple(float(edge) for edge in listed) if valid else ()
    numbers = tuple(number if abs(number) >= SMALLEST else 0.0 for number in numbers)
    if not valid or any(low >= high for low, high in pairwise(numbers)):
        raise ValueError(
            "Argument `bins` must be an integer of at least 2 or a list of increasing numbers. "
            f"Received: bins=[{', '.join(map(shown, listed))}]"
        )
    return numbers


def _is_finite(value: Any) -> bool:
    """Whether it is a number that a float can be."""
    number = isinstance(value, Real)
    return number and bool(-_MOST <= value <= _MOST)
