"""2 worker processes = 1 process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.distribution.problem import assert_same, make_model, run

ROOT = Path(__file__).parents[2]
TIMEOUT = 480  # seconds; an idle machine takes 30


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start_worker(index: int, addresses: list[str], folder: Path) -> subprocess.Popen:
    cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings = {
        "TF_CONFIG": json.dumps(cluster),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": paths,
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    with open(folder / f"{index}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), f"{folder}/{index}.npz"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
        )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each of two workers found."""
    folder = tmp_path_factory.mktemp("workers")
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    workers = [start_worker(index, addresses, folder) for index in range(2)]
    try:
        codes = [worker.wait(timeout=TIMEOUT) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    logs = "\n".join((folder / f"{index}.log").read_text()[-2000:] for index in range(2))
    assert codes == [0, 0], logs
    found = []
    for index in range(2):
        with np.load(folder / f"{index}.npz") as arrays:
            found.append(dict(arrays))
    return found


@pytest.mark.slow
def test_two_workers_give_the_numbers_of_one_process(results):
    expected = run(make_model())
    for found in results:
        assert_same(found, expected)
