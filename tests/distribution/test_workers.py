"""2 worker processes = 1 process, for every constructor; what the chief writes is whole."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import zoo
from tests.distribution import cluster
from tests.distribution.problem import BATCH_SIZE, assert_same, make_data, make_model, run

WORKER = str(Path(__file__).with_name("worker.py"))
ALL = [*zoo.list_models(), "mmoe-datasets"]


def run_workers(folder: Path, num_devices: int, cases: list[str], timeout: float) -> Path:
    """Runs one pair of workers over all cases; returns where their results are."""
    with cluster.started([WORKER, str(num_devices), *cases], folder) as workers:
        workers.succeed(timeout)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two workers that trained one model; an idle machine takes 25 s."""
    return run_workers(tmp_path_factory.mktemp("pair"), 1, ["mmoe"], timeout=300)


@pytest.fixture(scope="module", params=[1, 2], ids=["2x1", "2x2"])
def workers(request, tmp_path_factory):
    """Two workers that trained every model, each on one or two devices."""
    folder = tmp_path_factory.mktemp(f"by{request.param}")
    return run_workers(folder, request.param, ALL, timeout=1200)


@functools.cache
def of_one_process(constructor: str) -> dict[str, np.ndarray]:
    return run(make_model(constructor))


def assert_same_as_one_process(folder: Path, case: str) -> None:
    for index in range(2):
        with np.load(folder / f"{index}" / f"{case}.npz") as found:
            assert_same(dict(found), of_one_process(case.partition("-")[0]))


def test_two_workers_give_the_numbers_of_one_process(pair):
    assert_same_as_one_process(pair, "mmoe")


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL)
def test_workers_with_devices_give_the_numbers_of_one_process(workers, case):
    assert_same_as_one_process(workers, case)


def test_the_chief_alone_saves_and_exports(pair):
    unseen, _ = make_data(BATCH_SIZE + 5, seed=1)
    predicted = keras.saving.load_model(pair / "0" / "chief.keras").predict(unseen, verbose=0)
    served = tf.saved_model.load(str(pair / "0" / "chief" / "1")).signatures["serving_default"]
    outputs = served(features=tf.constant(unseen))
    with np.load(pair / "0" / "mmoe.npz") as found:
        for task, values in predicted.items():
            np.testing.assert_allclose(values, found[f"predict:{task}"], atol=1e-6)
            np.testing.assert_allclose(outputs[task], found[f"predict:{task}"], atol=1e-6)
    assert not list((pair / "1").glob("chief*"))


def test_workers_at_different_steps_do_not_train_on(pair):
    for index in range(2):
        sentence = "give each the chief's backup. Received: steps of the workers' optimizers=[0, 1]"
        assert sentence in (pair / f"{index}.log").read_text()
