"""Some slots of a layer, computed alone, are those of the whole."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import CGC, PLE, Experts
from keras_mtl.layers.slots import SlotLayer
from tests.layers.cases import LAYERS
from tests.layers.weights import array

CASES = LAYERS | {
    "experts_slots_batch": (
        lambda **kw: Experts(3, (5, 2), input_slots=(1, 0, 1), normalization="batch", **kw),
        (2, 4),
    ),
    "cgc_own_shared": (
        lambda **kw: CGC(3, 2, (2, 0, 1), 2, task_inputs=True, shared_output=True, **kw),
        (4, 4),
    ),
    "cgc_without_shared": (lambda **kw: CGC(2, 0, 2, 2, normalization="layer", **kw), (4,)),
    "ple_layer": (lambda **kw: PLE(3, 2, 1, (1, 0, 2), (5, 2), normalization="layer", **kw), (4,)),
    "ple_tokens": (lambda **kw: PLE(2, 2, 1, 1, 3, **kw), (6, 4)),
}


def as_trained(layer: keras.layers.Layer, row: tuple[int, ...]) -> keras.layers.Layer:
    """The layer away from its start, where all biases and all statistics are alike."""
    layer.build((None, *row))
    generator = np.random.default_rng(0)
    for weight in layer.weights:
        if not weight.path.endswith(("seed_generator_state", "temperature")):
            weight.assign(array(weight) + generator.uniform(size=weight.shape))
    return layer


tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="JAX has no float64 unless asked"
)


def as_float(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor).astype("float64")


# Products of other shapes round otherwise, and normalisation magnifies it: float64 tells more.
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("policy", "tolerance"),
    [
        ("float32", 1e-5),
        ("mixed_bfloat16", 5e-2),
        pytest.param("float64", 1e-12, marks=tensorflow_only),
    ],
)
def test_slots_computed_alone_are_those_of_the_whole(name, policy, tolerance):
    make, row = CASES[name]
    layer = as_trained(make(seed=0, dtype=policy), row)
    assert isinstance(layer, SlotLayer)
    if any(path.endswith("temperature") for path in (w.path for w in layer.weights)):
        tolerance = max(tolerance, 1e-6)  # gates are float32 whatever the policy
    inputs = keras.random.normal((4, *row))
    whole = layer(inputs)
    count = whole.shape[-2]
    for slots in [*((slot,) for slot in range(count)), tuple(range(count)), (count - 1, 0)]:
        sources = layer.source_slots(slots)
        read = inputs if sources is None else keras.ops.take(inputs, sources, axis=-2)
        found, expected = layer(read, slots=slots), keras.ops.take(whole, slots, axis=-2)
        assert found.dtype == whole.dtype
        np.testing.assert_allclose(as_float(found), as_float(expected), tolerance, tolerance)


@pytest.mark.parametrize(
    ("slots", "sources"), [((0,), (0, 3)), ((1,), (1, 3)), ((2, 0), (0, 2, 3)), ((3,), (0, 2, 3))]
)
def test_a_task_of_cgc_reads_its_own_slot_and_the_shared_one(slots, sources):
    layer = CGC(3, 1, (2, 0, 1), 2, task_inputs=True, shared_output=True)
    assert layer.source_slots(slots) == sources
