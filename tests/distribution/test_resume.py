"""A training that was cut off goes on from its backup, and ends as if nothing had happened."""

import signal
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.distribution import cluster
from tests.distribution.problem import make_data
from tests.distribution.resumed import EPOCH, PowerCut, trained

WORKER = str(Path(__file__).with_name("resumed.py"))
TIMEOUT = 400  # seconds, each start; an idle machine takes 20 and 35


def test_a_process_resumes_with_the_weights_of_an_undisturbed_run(tmp_path):
    """Dropout draws what it would have drawn, and rows come in the order they would have come."""
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        trained([backup, PowerCut(interrupt)])
    assert_resumed(trained([backup]), trained())


def test_seeds_go_where_they_fit(tmp_path):
    """Weights of a model with dropout are weights of one without, and the other way round."""
    with_dropout, without = (make_dropout_model(rate) for rate in (0.3, 0.0))
    x, y = make_data(4, seed=0)
    with_dropout.fit(x, {"click": y["click"]}, verbose=0)
    for number, (source, target) in enumerate([(with_dropout, without), (without, with_dropout)]):
        path = tmp_path / f"{number}.weights.h5"
        source.save_weights(path)
        target.load_weights(path)
        for saved, loaded in zip(source.weights, target.weights, strict=True):
            np.testing.assert_array_equal(saved.numpy(), loaded.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("dying", [0, 1], ids=["chief", "worker"])
def test_a_killed_worker_ends_the_job_and_a_restart_resumes_it(dying, tmp_path):
    """SIGKILL in an epoch: the other worker ends with an error; all are started again."""
    with cluster.started([WORKER, str(dying)], tmp_path) as first:
        codes = first.wait(TIMEOUT)
    assert codes[dying] == -signal.SIGKILL
    assert codes[1 - dying] == 1
    assert "UnavailableError" in first.log(1 - dying)
    with cluster.started([WORKER, str(dying)], tmp_path) as second:
        second.succeed(TIMEOUT)
    for index in range(2):
        with (
            np.load(tmp_path / f"{index}" / "resumed.npz") as resumed,
            np.load(tmp_path / f"{index}" / "undisturbed.npz") as undisturbed,
        ):
            assert_resumed(resumed, undisturbed)


def interrupt():
    raise KeyboardInterrupt


def make_dropout_model(rate):
    from keras_mtl import zoo

    model = zoo.shared_bottom(5, ["click"], bottom_units=3, dropout=rate, seed=0)
    model.compile("sgd", run_eagerly=True)
    return model


def assert_resumed(found, expected):
    """Weights, optimizer and random states are equal to the last bit."""
    assert found["epochs"].tolist() == [*range(EPOCH, 4)]
    assert expected["epochs"].tolist() == [*range(4)]
    assert found["loss"].tolist() == expected["loss"][EPOCH:].tolist()
    assert set(found) == set(expected)
    for name in set(expected) - {"epochs", "loss"}:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    states = [name for name in expected if "seed_generator_state" in name]
    assert states
    assert all(expected[name][1] > 0 for name in states)
