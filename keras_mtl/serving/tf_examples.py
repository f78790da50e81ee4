"""`tf.train.Example` protos: what a signature parses, and how arrays become them."""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_mtl.features.resolution import are_whole
from keras_mtl.features.table import TabularFeatures
from keras_mtl.features.values import MISSING_INTEGER

if TYPE_CHECKING:
    import tensorflow as tf

EXAMPLES = "examples"

Tensors = dict[str, Any]


def parser_of_columns(table: TabularFeatures) -> Callable[[Any], Tensors] | None:
    """Serialized examples (B,) -> a table's raw columns; an absent feature is a missing value.

    An example holds floats as float32. A column of whole numbers that float32 would round is read
    as int64. Where float32 does not resolve fractions, there is no parser, and a warning says so.
    """
    import tensorflow as tf

    dtypes = table.encoding.example_dtypes
    beyond = [name for name, dtype in dtypes.items() if dtype is None]
    if beyond:
        warnings.warn(
            f"The export has no signature {EXAMPLES!r}: a tf.train.Example holds floats as "
            f"float32, which does not resolve {', '.join(beyond)}. Subtract a constant from such "
            "a column, or serve it by the other signatures, in float64.",
            stacklevel=2,
        )
        return None
    specs = {
        name: tf.TensorSpec(spec.shape, dtypes.get(name, spec.dtype))
        for name, spec in table.serving_signature().items()
    }
    missing = {tf.string: "", tf.int64: MISSING_INTEGER, tf.float32: float("nan")}
    features = {
        name: tf.io.FixedLenFeature([], spec.dtype, missing[spec.dtype])
        if spec.shape.rank == 1
        else tf.io.RaggedFeature(spec.dtype, row_splits_dtype=tf.int64)
        for name, spec in specs.items()
    }
    return lambda examples: tf.io.parse_example(examples, features)


def parser_of_inputs(specs: "Mapping[str, tf.TensorSpec]") -> Callable[[Any], Tensors] | None:
    """Serialized examples (B,) -> a model's own inputs, all of them required.

    None where an example, which is a flat list, does not tell the shape of an input.
    """
    import tensorflow as tf

    shapes = {name: spec.shape[1:] for name, spec in specs.items()}
    if not all(shape.is_fully_defined() for shape in shapes.values()):
        return None
    features = {
        name: tf.io.FixedLenFeature(shapes[name], _feature_dtype(spec.dtype))
        for name, spec in specs.items()
    }

    def parse(examples: Any) -> Tensors:
        parsed = tf.io.parse_example(examples, features)
        return {
            name: value if specs[name].dtype == tf.string else tf.cast(value, specs[name].dtype)
            for name, value in parsed.items()
        }

    return parse


def held_in_examples(table: TabularFeatures, columns: Mapping[str, np.ndarray]) -> Tensors:
    """Raw columns as `parser_of_columns` reads them: integers where float32 does not do."""
    dtypes = table.encoding.example_dtypes
    return {
        name: _whole_numbers(name, column) if dtypes.get(name) == "int64" else column
        for name, column in columns.items()
    }


def _whole_numbers(name: str, numbers: np.ndarray) -> np.ndarray:
    """Integers of whole numbers, the smallest one of what is missing."""
    missing = np.isnan(numbers)
    if not are_whole(numbers[~missing]):
        raise ValueError(
            f"Column `{name}` must hold whole numbers of 64 bits, as `adapt` saw: the signature "
            f"{EXAMPLES!r} reads it as int64. Received: {_first_fraction(numbers[~missing])}"
        )
    return np.where(missing, MISSING_INTEGER, np.where(missing, 0, numbers).astype(np.int64))


def _first_fraction(numbers: np.ndarray) -> float:
    return next(number for number in numbers.tolist() if not are_whole(np.array(number)))


def as_examples(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Arrays (B, ...) by feature -> serialized examples (B,), as a client sends them."""
    from tensorflow.train import Example, Features

    rows = zip(*columns.values(), strict=True)
    examples = [
        Example(
            features=Features(
                feature={
                    name: _feature(np.ravel(value).tolist(), columns[name].dtype.kind)
                    for name, value in zip(columns, row, strict=True)
                }
            )
        )
        for row in rows
    ]
    return np.array([example.SerializeToString() for example in examples], object)


def _feature(values: list[Any], kind: str) -> Any:
    from tensorflow.train import BytesList, Feature, FloatList, Int64List

    if kind == "O":
        return Feature(bytes_list=BytesList(value=values))
    if kind in "biu":
        return Feature(int64_list=Int64List(value=map(int, values)))
    return Feature(float_list=FloatList(value=values))


def _feature_dtype(dtype: "tf.DType") -> "tf.DType":
    """The nearest of the three types that an example holds."""
    import tensorflow as tf

    if dtype == tf.string:
        return tf.string
    return tf.float32 if dtype.is_floating else tf.int64
