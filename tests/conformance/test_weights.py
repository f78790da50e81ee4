"""What a layer and a model are made of: weights, shapes, draws."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import keras
import numpy as np
import pytest

from tests.conformance.case import Case
from tests.conformance.cases.layers import LayerCase
from tests.conformance.figures import assert_same, weights
from tests.conformance.over import held_to, over

DRAWS = 20
LAYERS = [case for case in held_to("weights") if isinstance(case, LayerCase)]


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def values(weight: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight.value)


@over("config")
def test_a_configuration_makes_the_same_again(case: Case) -> None:
    made = case.model(3) if is_model(case) else case.make()
    config = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(config))
    assert type(again) is type(made)
    assert json.dumps(keras.saving.serialize_keras_object(again)) == config
    if not is_model(case):
        assert_holds(json.loads(json.dumps(made.get_config())), case.arguments)
    if isinstance(case, LayerCase) and "seed" in case.arguments:
        for layer in (made, again):
            layer.build((None, *case.row))
        for first, second in zip(made.weights, again.weights, strict=True):
            np.testing.assert_array_equal(values(first), values(second))


def assert_holds(config: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """Checks that a configuration holds every argument, and plain values as they were given."""
    for name, value in arguments.items():
        if name in ("categorical", "numeric"):  # further columns
            assert {each for each in value} <= {c["config"]["name"] for c in config["columns"]}
            continue
        assert name in config
        if isinstance(value, bool | int | float | str):
            found = config[name] if isinstance(config[name], list) else [config[name]]
            assert set(found) == {value}, name  # one for all tasks may be written out


def is_model(case: Case) -> bool:
    return case.public == "MultiTaskModel" or case.public.startswith("zoo.")


@over("weights")
def test_the_first_call_makes_no_weight(case: Case) -> None:
    model = case.model(0)
    built = [weight.path for weight in model.weights]
    outputs = model(case.inputs(4, 1), training=True)
    assert [weight.path for weight in model.weights] == built
    assert len(set(built)) == len(built), "two weights of one name"
    if not isinstance(case, LayerCase):
        assert len(built) == case.weights
    for name, output in outputs.items():
        symbolic = model.output[name]
        assert symbolic.shape == (None, *output.shape[1:])
        assert symbolic.dtype == keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_build_makes_the_weights_and_symbolic_calls_are_as_eager_ones(case, policy) -> None:
    layer = case.make(dtype=policy)
    layer.build((None, *case.row))
    built = [weight.path for weight in layer.weights]
    assert len(built) == case.weights
    output = layer(draw(4, *case.row))
    assert [weight.path for weight in layer.weights] == built
    symbolic = case.make(dtype=policy)(keras.KerasTensor((None, *case.row)))
    assert output.shape == (4, *case.output)
    assert symbolic.shape == layer.compute_output_shape((None, *case.row)) == (None, *case.output)
    dtype = keras.backend.standardize_dtype(output.dtype)
    assert dtype == symbolic.dtype
    always_float32 = case.public in ("layers.Gate", "layers.TaskOutput")
    assert dtype == ("float32" if always_float32 else keras.DTypePolicy(policy).compute_dtype)
    assert {weight.dtype for weight in layer.weights} <= {"float32"}


@over("seeds")
def test_a_seed_says_what_is_drawn(case: Case) -> None:
    first, same, other = (weights(case.model(seed)) for seed in (1, 1, 2))
    assert_same(first, same, tolerance=0)
    kernels = [name for name, value in first.items() if value.ndim > 1 and value.std() > 0]
    changed = [name for name in kernels if not np.array_equal(first[name], other[name])]
    fixed = case.arguments.keys() & {"seed", "embeddings_initializer", "heads"}
    assert changed == kernels or (fixed and changed), "another seed left a kernel as it was"


@over("slices")
def test_slices_of_a_stack_differ_and_have_the_variance_of_their_fan_in(case: Case) -> None:
    stacks = defaultdict(list)
    for seed in range(DRAWS):
        layer = case.make(seed=seed)
        layer.build((None, *case.row))
        for weight in layer.weights:
            if weight.name.startswith("kernel") and len(weight.shape) > 2:
                stacks[weight.path.partition("/")[2]].append(values(weight))
    assert stacks, "no stacked kernel: exempt the case, and say why"
    for path, drawn in stacks.items():
        assert_slices(np.stack(drawn), path, expected_variance(case))


def expected_variance(case: Case) -> Callable[[int, int], float]:
    """The variance of a kernel (D, U) by its initializer."""
    if "kernel_initializer" in case.arguments:
        return lambda inputs, units: 2 / inputs  # He's
    if case.public == "layers.SwitchFFN":
        return lambda inputs, units: 0.1 / inputs
    return lambda inputs, units: 2 / (inputs + units)  # Glorot's


def assert_slices(stack: np.ndarray, path: str, variance: Callable[[int, int], float]) -> None:
    """Checks slices (draws, ..., N, D, U)."""
    *_, inputs, units = stack.shape
    stack = stack.reshape(len(stack), -1, inputs * units)  # (draws, N, D U)
    for first, second in combinations(range(stack.shape[1]), 2):
        assert not np.isclose(stack[:, first], stack[:, second]).all(axis=-1).any(), path
    expected = variance(inputs, units)
    found = stack.var(axis=(0, 2))  # (N,)
    # the kurtosis of a uniform or truncated draw is below 3
    error = 4 * (2 / (len(stack) * inputs * units)) ** 0.5
    np.testing.assert_allclose(found, expected, rtol=error, err_msg=path)
