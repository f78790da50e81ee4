"""`benchmarks/run.py` measures, keeps its figures, and says in a sentence what it cannot do."""

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.contenders import ENTRIES, Entry, LeftOutError, Process
from benchmarks.figures import Figure, Origin, append_csv
from benchmarks.readme import write_readme
from benchmarks.run import main
from benchmarks.training import Speed, report
from benchmarks.workload import Sizes, Workload
from keras_mtl.study.cards import BEGIN, END

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = Origin("2026-01-01", 0, "synthetic", 8, 1, "cpu", 2, "3.11")


def run(*arguments):
    command = [sys.executable, "benchmarks/run.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_benchmarks_and_contenders(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert all(name in words for name in ("training", "startup", "encoding", "--peer-python"))
    assert all(entry.name in words for entry in ENTRIES)


def test_tiny_run_trains_and_keeps_figures(tmp_path):
    done = run(
        *("training", "encoding", "--data", "synthetic", "--rows", 40, "--batch-size", 16),
        *("--rounds", 1, "--only", "keras_mtl 1 step", "--only", "matrix products"),
        *("--only", "torch loop", "--peer-python", f"torch={tmp_path / 'no_python'}"),
        *("--out", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert "Left out: torch loop, since" in done.stderr
    assert "Traceback" not in done.stderr
    with (tmp_path / "training.csv").open() as file:
        rows = list(csv.DictReader(file))
    speeds = {r["contender"]: float(r["value"]) for r in rows if r["measure"] == "best epoch"}
    assert set(speeds) == {"keras_mtl 1 step", "matrix products"}
    assert all(speed > 0 for speed in speeds.values())
    assert {r["rows"] for r in rows} == {"40"}
    assert all(r["cpu"] and r["date"] and "tensorflow==" in r["versions"] for r in rows)
    # The limit has the model's kernels, but neither its embeddings nor its biases.
    parameters = {r["contender"]: float(r["value"]) for r in rows if r["measure"] == "parameters"}
    assert parameters["matrix products"] == 255 * (8 * 128 + 2 * 8) + 8 * 128 * 64 + 2 * 65 * 32
    biases = 8 * (128 + 64) + 2 * (32 + 1)
    embeddings = 31 * 18 * 8
    assert parameters["keras_mtl 1 step"] - parameters["matrix products"] <= biases + embeddings
    with (tmp_path / "encoding.csv").open() as file:
        assert [r["measure"] for r in csv.DictReader(file)] == ["adapt", "encode"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reading"], "must be a benchmark: training; startup; encoding. Received: 'reading'"),
        (["--only", "me"], "must be a contender"),
        (["--rounds", "0"], "must be a positive number. Received: '0'"),
        (["--peer-python", "numpy=python"], "must be PACKAGE=PATH, with a package of deepctr"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert sentence in capsys.readouterr().err


def test_missing_data_gets_a_sentence(tmp_path, capsys):
    assert main(["--data-dir", str(tmp_path)]) == 1
    assert "census-income" in capsys.readouterr().err


def test_a_peer_without_its_package_is_left_out(tmp_path):
    entry = Entry("nobody", "nobody", "no_such_package")
    with pytest.raises(LeftOutError, match="has no package `no_such_package`; name a Python"):
        Process(entry, {}, tmp_path)


def test_a_peer_that_ends_says_why(tmp_path):
    entry = Entry("nobody", "no_such_module", "numpy")
    with (
        Process(entry, {}, tmp_path) as process,
        pytest.raises(LeftOutError, match="nobody ended with status 1: FileNotFoundError"),
    ):
        process.start()


def test_workload_survives_its_folder(tmp_path):
    arrays = np.arange(6, dtype="int32").reshape(3, 2), np.ones((3, 1), "float32")
    labels = {"income": np.array([0.0, 1.0, 1.0], "float32")}
    work = Workload(Sizes(batch_size=2), {"a": 6, "b": 7}, {"some": ["config"]}, *arrays, labels)
    work.write(tmp_path)
    read = Workload.read(tmp_path)
    assert (read.sizes, read.vocabularies, read.table) == (
        work.sizes,
        work.vocabularies,
        work.table,
    )
    np.testing.assert_array_equal(read.categorical, work.categorical)
    np.testing.assert_array_equal(read.labels["income"], labels["income"])


def test_later_runs_are_added_and_other_columns_refused(tmp_path):
    path = tmp_path / "figures.csv"
    for value in (1.0, 2.0):
        append_csv(path, [Figure("training", "one", "best epoch", value, "rows/s")], ORIGIN)
    with path.open() as file:
        assert [row["value"] for row in csv.DictReader(file)] == ["1.0", "2.0"]
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match="must have the columns date, seed"):
        append_csv(path, [], ORIGIN)
    assert path.read_text() == "a,b\n"


def test_ratios_compare_best_epochs_and_cpu_time():
    ours = Speed(100, 1, "", wall=[4.0, 1.0, 2.0], cpu=[4.0, 2.0, 3.0])
    peer = Speed(100, 1, "", wall=[2.0, 3.0, 4.0], cpu=[8.0, 6.0, 7.0])
    last = report({"keras_mtl XLA, 16 steps": ours, "deepctr": peer}).splitlines()[-1]
    assert last.split()[-3:] == ["2.00", "3.00", "1.60"]


def test_the_readme_shows_the_last_run_of_each_benchmark(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for date, speed in (("2025", 777.0), ("2026", 2222.0)):
        figures = [Figure("training", "ours", "best epoch", speed, "rows/s", "keras==3")]
        append_csv(tmp_path / "training.csv", figures, replace(ORIGIN, date=date))
    start = [Figure("startup", "ours", "first step", 1.27, "s")]
    append_csv(tmp_path / "startup.csv", start, ORIGIN)
    write_readme(readme, tmp_path)
    text = readme.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "| ours | 2,222 |  | 1.3 |" in text
    assert "777" not in text
    assert "8 rows of synthetic" in text
    assert "keras==3" in text
