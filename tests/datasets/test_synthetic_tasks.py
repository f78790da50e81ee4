import math

import numpy as np
import pytest

from keras_mtl.datasets import synthetic_tasks
from keras_mtl.datasets.synthetic_tasks import draw_tasks

SMALL = {"num_train": 200, "num_valid": 40, "num_test": 30, "num_features": 12}


def twin_label(w, alpha, beta, x):
    """Equation 3 of the MMoE paper without noise, a row and a term at a time."""
    product = sum(float(w_d) * float(x_d) for w_d, x_d in zip(w, x, strict=True))
    waves = (math.sin(a * product + b) for a, b in zip(alpha, beta, strict=True))
    return product + sum(waves)


@pytest.mark.parametrize("num_tasks", [1, 2, 3, 7])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 1.0, -0.1])
def test_weights_have_the_asked_length_and_cosine(num_tasks, correlation):
    tasks = draw_tasks(np.random.default_rng(0), num_tasks, correlation, 20, 10, 1.5)
    cosines = tasks.weights @ tasks.weights.T / 1.5**2
    expected = np.full((num_tasks, num_tasks), correlation)
    np.fill_diagonal(expected, 1.0)
    np.testing.assert_allclose(cosines, expected, atol=1e-12)


def test_labels_are_the_papers_equation():
    data = synthetic_tasks.load(num_tasks=3, correlation=0.7, noise=0.0, seed=5, **SMALL)
    stream = np.random.SeedSequence(5).spawn(4)[0]
    tasks = draw_tasks(np.random.default_rng(stream), 3, 0.7, 12, 10, 1.0)
    assert tasks.frequencies.shape == tasks.phases.shape == (10,)
    for row, x in enumerate(data.test.columns["features"]):
        for task, w in enumerate(tasks.weights):
            expected = twin_label(w, tasks.frequencies, tasks.phases, x)
            assert data.test.labels[f"task_{task}"][row] == pytest.approx(expected, abs=1e-4)


def test_noise_has_its_standard_deviation_and_is_each_tasks_own():
    sizes = {**SMALL, "num_train": 4_000}
    clean = synthetic_tasks.load(noise=0.0, **sizes).train
    noisy = synthetic_tasks.load(noise=0.1, **sizes).train
    np.testing.assert_array_equal(clean.columns["features"], noisy.columns["features"])
    errors = [noisy.labels[task] - clean.labels[task] for task in ("task_0", "task_1")]
    assert np.std(errors) == pytest.approx(0.1, rel=0.05)
    assert abs(np.corrcoef(errors)[0, 1]) < 0.06


def test_label_correlation_rises_with_that_of_the_weights():
    correlations = []
    for correlation in (0.0, 0.5, 0.9, 1.0):
        labels = synthetic_tasks.load(
            correlation=correlation, noise=0.0, **{**SMALL, "num_train": 5_000}
        ).train.labels
        correlations.append(np.corrcoef(labels["task_0"], labels["task_1"])[0, 1])
    assert abs(correlations[0]) < 0.1
    assert correlations == sorted(correlations)
    assert correlations[-1] == pytest.approx(1.0, abs=1e-6)


def test_a_seed_fixes_everything_and_row_counts_change_no_task():
    first = synthetic_tasks.load(seed=3, **SMALL)
    again = synthetic_tasks.load(seed=3, **SMALL)
    other = synthetic_tasks.load(seed=4, **SMALL)
    longer = synthetic_tasks.load(seed=3, **{**SMALL, "num_train": 300})
    for task in ("task_0", "task_1"):
        np.testing.assert_array_equal(first.train.labels[task], again.train.labels[task])
        np.testing.assert_array_equal(first.test.labels[task], longer.test.labels[task])
        assert not np.array_equal(first.train.labels[task], other.train.labels[task])


def test_splits_are_sized_as_asked_and_share_no_row():
    data = synthetic_tasks.load(**SMALL)
    assert [len(split) for split in (data.train, data.valid, data.test)] == [200, 40, 30]
    assert data.categorical == data.numeric == []
    rows = np.concatenate([s.columns["features"] for s in (data.train, data.valid, data.test)])
    assert rows.dtype == np.float32
    assert len(np.unique(rows, axis=0)) == 270


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_tasks": 0}, "`num_tasks` must be an integer of at least 1"),
        ({"num_features": 1}, "`num_features` must be an integer of at least 2"),
        ({"num_sines": -1}, "`num_sines` must be an integer of at least 0"),
        ({"num_valid": 0}, "`num_valid` must be an integer of at least 1"),
        ({"correlation": 1.1}, r"`correlation` must be in .* correlation=1.1, num_tasks=2"),
        ({"correlation": -0.6, "num_tasks": 3}, r"`correlation` must be in \[-1 / \(num_tasks"),
        ({"scale": 0.0}, "`scale` must be positive"),
        ({"noise": -0.1}, "`noise` must be at least 0"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthetic_tasks.load(**arguments)
