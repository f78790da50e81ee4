"""`--strategy`: one process, or the workers of a cluster of which the chief writes."""

import os
import subprocess
import sys

import keras
import pytest

from keras_mtl.__main__ import main
from keras_mtl.study import strategies
from keras_mtl.study.results import read_results
from tests.distribution import cluster

TIMEOUT = 400  # seconds; an idle machine takes 40
PARTS = ("split", "model", "task", "metric")


def figures(folder):
    return {tuple(row[part] for part in PARTS): float(row["value"]) for row in read_results(folder)}


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_workers_give_the_figures_of_one_process_and_the_chief_writes(
    write_study, place, monkeypatch
):
    study, alone = str(write_study()), place / "alone"
    assert main(["run", study, "--out", str(alone)]) == 0
    together = place / "0" / "together"
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
    command = ["-m", "keras_mtl", "run", study, "--strategy", "multi_worker", "--out", "together"]
    with cluster.started(command, place) as workers:
        workers.succeed(TIMEOUT)
        chief, other = workers.log(0), workers.log(1)
    assert "multi_worker: worker 0 of 2 processes; replicas in all: 2" in chief
    assert "differ from Keras' predictions by at most" in chief
    assert "multi_worker: worker 1 of 2 processes" in other
    assert "kept epoch" not in other
    assert list((place / "1").iterdir()) == []
    expected = figures(alone / "results.csv")
    assert figures(together / "results.csv") == pytest.approx(expected, rel=1e-4)
    assert files_below(together) == files_below(alone)
    # One run is lost: the chief alone knows, and all train it again.
    lost = next(path for path in together.iterdir() if path.name.startswith("single-task"))
    lost.rename(place / "lost")
    with cluster.started(command, place) as workers:
        workers.succeed(TIMEOUT)
        assert workers.log(0).count("finished before, kept") == 1
    assert figures(together / "results.csv") == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
def test_without_a_cluster_one_process_runs(strategy, write_study, place):
    """In a process of its own, since the strategy stays for as long as its process."""
    command = [sys.executable, "-m", "keras_mtl", "run", str(write_study()), "--epochs", "1"]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    done = subprocess.run(
        [*command, "--strategy", strategy],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        env={**environment, "PYTHONPATH": f"{cluster.ROOT}{os.pathsep}{place}"},
    )
    assert done.returncode == 0, done.stderr
    assert f"{strategy}: one process; replicas in all: 1" in done.stdout
    assert (place / "runs" / "toy" / "toy" / "001" / "results.csv").is_file()


@pytest.mark.parametrize(
    "config",
    [
        "worker 0",
        "[]",
        "{}",
        '{"task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": "x"}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_a_cluster_that_cannot_be_is_one_sentence(config, write_study, place, monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", config)
    assert main(["run", str(write_study()), "--strategy", "multi_worker"]) == 2
    error = capsys.readouterr().err
    assert "`TF_CONFIG` must name all workers" in error
    assert error.endswith(f"Received: TF_CONFIG={config}\n")
    assert len(error.splitlines()) == 1
    assert not (place / "runs").exists()


def test_another_backend_is_one_sentence(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"needs Keras on TensorFlow\. .*backend=jax"):
        strategies.start("mirrored")
