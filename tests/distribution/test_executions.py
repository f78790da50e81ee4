"""Several steps a call, and XLA, give the numbers of one step at a time."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, zoo
from tests.distribution.problem import assert_same

TASKS = [Task("a"), Task("b", "regression"), Task("c", "multiclass", units=3, given="a")]


def run(rows: int, batch_size: int, **arguments) -> dict[str, np.ndarray]:
    """Logs of three epochs, and the weights after them."""
    model = zoo.ple(
        4, TASKS, levels=2, shared_experts=1, task_experts=1, expert_units=4, tower_units=3, seed=0
    )
    model.compile(keras.optimizers.SGD(0.1), **arguments)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 4)).astype("float32")
    y = {
        "a": generator.integers(-1, 2, rows),
        "b": np.where(generator.random(rows) < 0.5, np.nan, x[:, 0]),
        "c": generator.integers(-1, 3, rows),
    }
    # The validation rows hold labels of both classes and of each task.
    y["a"][:7], y["c"][:7] = [1, 0, 1, 0, 1, 1, -1], [0, 1, 2, 0, -1, 2, 0]
    unseen = (x[:7], {name: label[:7] for name, label in y.items()})
    history = model.fit(
        x, y, batch_size=batch_size, epochs=2, shuffle=False, verbose=0, validation_data=unseen
    ).history
    weights = {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}
    return weights | {name: np.asarray(values) for name, values in history.items()}


def compiled(**arguments) -> keras.Model:
    model = zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=())
    model.compile(**arguments)
    return model


def test_sixteen_steps_a_call_on_one_replica():
    assert compiled().steps_per_execution == 16
    assert compiled(steps_per_execution=3).steps_per_execution == 3
    assert compiled(run_eagerly=True).steps_per_execution == 1


def test_partial_executions_give_the_numbers_of_single_steps():
    """19 batches: one call of 16, one of 3, whose last batch is one row."""
    assert_same(run(37, 2), run(37, 2, steps_per_execution=1))


@pytest.mark.slow
def test_xla_gives_the_same_numbers():
    expected = run(24, 8, jit_compile=False)
    found = run(24, 8, jit_compile=True)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4, err_msg=name)
