"""Requests that an export should answer: plain ones, made from dtypes and shapes alone."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from keras_mtl.serving.export_folder import Signature
from keras_mtl.serving.server import Request
from keras_mtl.serving.tf_examples import EXAMPLES, as_examples

if TYPE_CHECKING:
    import tensorflow as tf

BATCH_SIZES = (1, 3)
UNKNOWN = 2  # size of an axis that the signature leaves open


def plain_requests(
    signatures: Mapping[str, Signature], integers: Collection[str] = ()
) -> list[tuple[int, Request]]:
    """A request of each batch size for each signature: strings are empty, numbers small.

    Args:
        signatures: of the export.
        integers: features that its examples hold as integers where the columns are floats.
    """
    return [
        (size, Request(name, _plain_inputs(name, signatures, size, integers)))
        for name in signatures
        for size in BATCH_SIZES
    ]


def _plain_inputs(
    name: str, signatures: Mapping[str, Signature], size: int, integers: Collection[str]
) -> dict[str, np.ndarray]:
    specs = signatures[name].inputs
    strings = all(spec.dtype.name == "string" for spec in specs.values())
    if name == EXAMPLES and strings and "serving_default" in signatures:
        features = _plain_inputs("serving_default", signatures, size, integers)
        features |= {key: features[key].astype(np.int64) for key in features.keys() & integers}
        return {input_name: as_examples(features) for input_name in specs}
    return {input_name: _plain_array(spec, size) for input_name, spec in specs.items()}


def _plain_array(spec: "tf.TensorSpec", size: int) -> np.ndarray:
    axes = [] if spec.shape.rank is None else list(spec.shape)
    shape = [UNKNOWN if axis is None else axis for axis in axes]
    if axes and axes[0] is None:
        shape[0] = size
    dtype = spec.dtype.as_numpy_dtype
    if dtype is object:
        return np.full(shape, b"", object)
    generator = np.random.default_rng(0)
    # 0 and 1 are ids in any vocabulary.
    whole = spec.dtype.is_integer or spec.dtype.is_bool
    drawn = generator.integers(0, 2, shape) if whole else generator.standard_normal(shape)
    return np.asarray(drawn, dtype)
