"""Training of every case: in half precision, compiled by XLA, on two replicas."""

from typing import Any

import keras
import numpy as np
import pytest

from tests.conformance.case import Case
from tests.conformance.figures import assert_same, trained
from tests.conformance.over import over

ROWS = 16


def compiled(case: Case, **options: Any) -> keras.Model:
    """The case's model, from the same seeds each time."""
    keras.utils.set_random_seed(0)
    return case.compile(case.model(0), **options)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@over("precision", slow_options=True, quick=("zoo", "metrics"))
def test_mixed_precision_trains_with_heads_in_float32(case: Case, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = compiled(case, run_eagerly=True)
    before = [np.array(weight) for weight in model.trainable_weights]
    # float16 leaves its first steps out, until the scale of its loss is small enough
    found = trained(model, case.inputs(ROWS, 1), case.labels(ROWS, 1), epochs=4)
    assert all(np.isfinite(value).all() for value in found.values())
    assert {output.dtype for output in model.output.values()} == {"float32"}
    for name in model.output:
        assert model.get_layer(name).compute_dtype == "float32"
    after = [np.array(weight) for weight in model.trainable_weights]
    moved = [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert sum(moved) > len(moved) / 2


@over("compiled", slow_options=True, quick=("zoo", "metrics"))
def test_xla_gives_the_same_numbers(case: Case) -> None:
    x, y = case.inputs(ROWS, 1), case.labels(ROWS, 1)
    eager, by_xla = (
        compiled(case, **options)
        for options in ({"run_eagerly": True}, {"jit_compile": True, "steps_per_execution": 1})
    )
    assert by_xla.jit_compile
    assert_same(trained(by_xla, x, y), trained(eager, x, y), tolerance=1e-4)
