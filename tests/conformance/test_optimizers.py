"""Optimizers see one gradient per row, however often a step gathers it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.conformance import records
from tests.conformance.case import Case, fresh
from tests.conformance.figures import Arrays, assert_same
from tests.conformance.over import over, selected
from tests.reference.adam import adam

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("load_files.py")
ROWS = 24  # three batches of 8, in which every id comes several times
RATE = 0.01


def compiled(case: Case, optimizer: keras.Optimizer) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = case.model(0)
    model.compile(optimizer, **fresh(case.compiled), run_eagerly=True)
    return model


def arrays(weights: list[Any]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(weight) for weight in weights]


def dense_gradients(optimizer: keras.Optimizer) -> list[list[np.ndarray]]:
    """The gradients of each step to come, made dense before the optimizer sees them."""
    steps: list[list[np.ndarray]] = []
    apply: Callable[..., None] = optimizer.apply

    def record(grads: Any, trainable_variables: Any = None) -> None:
        steps.append(arrays(grads))
        apply(grads, trainable_variables)

    optimizer.apply = record
    return steps


@over("optimizers", slow_options=True, quick=("features", "MultiTaskModel", "zoo.switch"))
def test_three_steps_of_adam_are_those_of_dense_gradients(case: Case) -> None:
    model = compiled(case, keras.optimizers.Adam(RATE))
    start = arrays(model.trainable_weights)
    steps = dense_gradients(model.optimizer)
    x, y = case.inputs(ROWS, 1), case.labels(ROWS, 1)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert len(steps) == 3
    for weight, value, *gradients in zip(model.trainable_weights, start, *steps, strict=True):
        expected = adam(value, gradients, RATE)
        np.testing.assert_allclose(*arrays([weight, expected]), atol=1e-5, err_msg=weight.path)


@over("optimizers", slow_options=True, quick=("features", "MultiTaskModel", "zoo.switch"))
def test_clipping_bounds_the_true_norm(case: Case) -> None:
    bound = 0.02
    model = compiled(case, keras.optimizers.SGD(1.0, global_clipnorm=bound))
    start = arrays(model.trainable_weights)
    steps = dense_gradients(model.optimizer)
    model.train_on_batch(case.inputs(8, 1), case.labels(8, 1))
    assert norm(steps[0]) > bound
    moved = [now - then for now, then in zip(arrays(model.trainable_weights), start, strict=True)]
    assert norm(moved) == pytest.approx(bound, rel=1e-3)


def norm(tensors: list[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(tensor, dtype=float).sum() for tensor in tensors)))


@pytest.fixture(scope="module")
def on_jax(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Files of models that Adam trains, and what JAX computed when it trained them on."""
    folder, answers = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("answers")
    names = {item.callspec.id for item in request.session.items if "on_jax" in item.fixturenames}
    for case in selected(request):
        if case.name in names:
            model = compiled(case, keras.optimizers.Adam(RATE))
            x, y = case.inputs(ROWS, 1), case.labels(ROWS, 1)
            records.write(folder, records.file_name(case.name), model, x, y)
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), str(folder), str(answers)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, answers


@over("backends", slow_options=True, quick=("features.Sequence", "features.TabularEmbedding"))
def test_three_steps_of_adam_are_those_of_jax(case: Case, on_jax: tuple[Path, Path]) -> None:
    folder, answers = on_jax
    name = records.file_name(case.name)
    _, _, _, after = records.read(folder, name)
    with np.load(answers / f"{name}.npz") as stored:
        found: Arrays = {k.removeprefix("after:"): v for k, v in stored.items() if "after:" in k}
    assert_same(found, after, tolerance=1e-5)
