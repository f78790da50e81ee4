"""`benchmarks/run.py` measures, keeps its figures, and says in a sentence what it cannot do."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data
from benchmarks.contenders import ENTRIES, Entry, LeftOutError, Process, taking_part
from benchmarks.encoding import from_files
from benchmarks.figures import Figure, Origin, append_csv
from benchmarks.kernels import kernels
from benchmarks.peers import keras_mtl_models, matrix_products
from benchmarks.readme import write_readme
from benchmarks.run import main
from benchmarks.training import Speed, report
from benchmarks.verdict import verdict
from benchmarks.workload import Sizes, Workload
from keras_mtl.study.cards import BEGIN, END

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = Origin("2026-01-01", 0, "synthetic", 8, 1, "cpu", 2, "3.11")
TINY = ("--data", "synthetic", "--rows", 40, "--batch-size", 16, "--rounds", 1)

# Of the stand-in: 31 embeddings of 8, and 7 numbers.
WIDTH = 31 * 8 + 7
MMOE_KERNELS = WIDTH * (8 * 128 + 2 * 8) + 8 * 128 * 64 + 2 * (64 + 1) * 32
PLE_KERNELS = (
    WIDTH * (6 * 128 + 2 * 4 + 6)  # the first level's experts, own gates, shared gate
    + 6 * 128 * 64
    + 6 * (64 * 128 + 128 * 64)  # the second level's experts
    + 64 * 2 * 4  # its gates
    + 2 * (64 + 1) * 32
)


def run(*arguments, **environment):
    command = [sys.executable, "benchmarks/run.py", *map(str, arguments)]
    environment = os.environ | environment
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values_of(path, measure):
    return {
        (row["model"], row["contender"]): float(row["value"])
        for row in rows_of(path)
        if row["measure"] == measure
    }


def test_help_names_benchmarks_and_contenders(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    words = " ".join(capsys.readouterr().out.split()).replace("- ", "-")  # lines end at hyphens
    assert all(name in words for name in ("training", "startup", "encoding", "--peer-python"))
    assert all(entry.name in words for entry in ENTRIES)


def test_tiny_run_trains_and_keeps_figures(tmp_path):
    done = run(
        *("training", *TINY, "--out", tmp_path, "--peer-python", "torch=false"),
        *("--only", "keras_mtl defaults", "--only", "torch loop", "--model", "ple"),
    )
    assert done.returncode == 0, done.stderr
    assert "Left out: torch loop, since false has no package `torch`" in done.stderr
    assert "Traceback" not in done.stderr
    rows = rows_of(tmp_path / "training.csv")
    speeds = values_of(tmp_path / "training.csv", "best epoch")
    assert set(speeds) == {("ple", "keras_mtl defaults")}
    assert all(speed > 0 for speed in speeds.values())
    assert {(r["rows"], r["backend"], r["precision"], r["device"]) for r in rows} == {
        ("40", "tensorflow", "float32", "cpu")
    }
    assert all(r["cpu"] and r["date"] and "tensorflow==" in r["versions"] for r in rows)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_the_same_script_runs_on_both_backends_in_bfloat16(backend, tmp_path):
    benchmarks = ("training", "startup", "encoding")
    chosen = ("--only", "keras_mtl defaults", "--only", "deepctr", "--only", "matrix rate")
    done = run(
        *(*benchmarks, *TINY, *chosen, "--precision", "bfloat16", "--out", tmp_path),
        KERAS_BACKEND=backend,
    )
    assert done.returncode == 0, done.stderr
    assert "Left out: deepctr (mmoe)" in done.stderr
    trained = {(m, "keras_mtl defaults") for m in ("mmoe", "ple")}
    rate = {(m, "matrix rate") for m in ("mmoe", "ple")}
    assert set(values_of(tmp_path / "training.csv", "best epoch")) == trained | rate
    starts = values_of(tmp_path / "startup.csv", "first step")
    with_imports = values_of(tmp_path / "startup.csv", "first step, with imports")
    assert set(starts) == trained
    assert all(with_imports[key] > starts[key] > 0 for key in starts)
    assert {row["backend"] for row in rows_of(tmp_path / "startup.csv")} == {backend}
    encoded = values_of(tmp_path / "encoding.csv", "encode")
    keras_takes_part = ("", "keras.utils.FeatureSpace") in encoded
    assert keras_takes_part == (backend == "tensorflow")


@pytest.mark.slow
def test_many_tasks_with_missing_labels_start(tmp_path):
    done = run(*("startup", *TINY, "--only", "keras_mtl, 64 tasks", "--out", tmp_path))
    assert done.returncode == 0, done.stderr
    starts = values_of(tmp_path / "startup.csv", "first step")
    assert set(starts) == {(model, "keras_mtl, 64 tasks") for model in ("mmoe", "ple")}
    assert "<= 10.0" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["reading"], "must be a benchmark: training; latency; scaling; startup; encoding"),
        (["--only", "me"], "must be a contender"),
        (["--rounds", "0"], "must be a positive number. Received: '0'"),
        (["--peer-python", "numpy=python"], "must be PACKAGE=PATH, with a package of deepctr"),
        (["--peer-python", "torch=no/python"], "must name an interpreter. Received: 'torch=no/py"),
        (["--precision", "float8"], "invalid choice: 'float8'"),
    ],
)
def test_bad_arguments_get_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert sentence in capsys.readouterr().err


def test_missing_data_gets_a_sentence(tmp_path, capsys):
    assert main(["--data-dir", str(tmp_path)]) == 1
    assert "census-income" in capsys.readouterr().err


def test_a_run_in_which_nobody_takes_part_fails_with_a_sentence(tmp_path, capsys):
    peer = ["--only", "torch loop", "--peer-python", "torch=false"]
    assert main(["startup", *map(str, TINY), *peer, "--out", str(tmp_path)]) == 1
    assert "Nobody could take part in `startup`: nothing was measured." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_peer_without_its_package_is_left_out(tmp_path):
    entry = Entry("nobody", "nobody", "numpy", needs="no_such_package")
    with pytest.raises(LeftOutError, match="has no package `no_such_package`; name a Python"):
        Process(entry, {}, tmp_path)


def test_a_peer_that_ends_says_why(tmp_path):
    entry = Entry("nobody", "no_such_module", "numpy")
    with (
        Process(entry, {}, tmp_path) as process,
        pytest.raises(LeftOutError, match="nobody ended with status 1: FileNotFoundError"),
    ):
        process.start()


def test_only_those_who_can_compute_so_take_part(capsys):
    ours = Entry("ours", "ours", "keras_mtl", precisions=("float32", "bfloat16"))
    peer = Entry("peer", "peer", "peer", {"model": "ple"}, backends=("tensorflow",))
    assert taking_part([ours, peer], "tensorflow", "float32") == [ours, peer]
    assert taking_part([ours, peer], "jax", "float32") == [ours]
    assert "Left out: peer (ple) needs tensorflow, and the Keras backend is jax" in (
        capsys.readouterr().err
    )
    (half,) = taking_part([ours, peer], "tensorflow", "bfloat16")
    assert half.options == {"precision": "bfloat16"}
    assert "Left out: peer (ple) is measured in float32" in capsys.readouterr().err


@pytest.fixture(scope="module")
def work():
    return data.encode(data.load("synthetic", None, 40, seed=0), Sizes(batch_size=16))


@pytest.mark.parametrize(
    ("model", "weights", "biases"),
    [
        ("mmoe", MMOE_KERNELS, 8 * (128 + 64) + 2 * (32 + 1)),
        ("ple", PLE_KERNELS, 2 * 6 * (128 + 64) + 2 * (32 + 1)),
    ],
)
def test_the_limit_has_the_models_kernels_and_nothing_else(work, model, weights, biases):
    limit = matrix_products.make(work, model)
    limit.train(len(work))
    assert limit.parameters == weights
    assert kernels(work, model).flops == 6 * weights
    ours = keras_mtl_models.make(work, model).parameters
    embeddings = 8 * sum(work.vocabularies.values())
    assert ours == limit.parameters + biases + embeddings


def test_workload_survives_its_folder(work, tmp_path):
    work.write(tmp_path)
    read = Workload.read(tmp_path)
    assert (read.sizes, read.vocabularies, read.width) == (work.sizes, work.vocabularies, WIDTH)
    assert read.table == json.loads(json.dumps(work.table))
    np.testing.assert_array_equal(read.categorical, work.categorical)
    np.testing.assert_array_equal(read.labels["income"], work.labels["income"])


def test_files_are_read_in_whole(tmp_path):
    split = data.load("synthetic", None, 300, seed=0)
    table = data.new_table(split, Sizes()).adapt(split.columns)
    passes = from_files(split, table, tmp_path, rounds=2)
    assert [p.measure for p in passes] == ["read and encode CSV", "read and encode Parquet"]
    assert all(p.rows == 300 and len(p.seconds) == 2 and p.speed > 0 for p in passes)


def test_later_runs_are_added_and_other_columns_refused(tmp_path):
    path = tmp_path / "figures.csv"
    for value in (1.0, 2.0):
        append_csv(path, [Figure("training", "one", "best epoch", value, "rows/s")], ORIGIN)
    assert [row["value"] for row in rows_of(path)] == ["1.0", "2.0"]
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match="must have the columns date, seed"):
        append_csv(path, [], ORIGIN)
    assert path.read_text() == "a,b\n"


def test_figures_that_are_kept_have_todays_columns():
    columns = [field.name for kind in (Origin, Figure) for field in fields(kind)]
    kept = list((ROOT / "benchmarks" / "results").glob("*.csv"))
    assert kept
    assert all(list(rows_of(path)[0]) == columns for path in kept)


def test_ratios_compare_best_epochs_and_cpu_time():
    ours = Speed("keras_mtl XLA, 16 steps", "ple", 100, 10, 1)
    ours.wall, ours.cpu = [4.0, 1.0, 2.0], [4.0, 2.0, 3.0]
    peer = Speed("deepctr", "ple", 100, 10, 1, wall=[2.0, 3.0, 4.0], cpu=[8.0, 6.0, 7.0])
    rate = Speed("matrix rate", "ple", 100, 40, 1, wall=[2.0], cpu=[2.0])
    *_, ratio, fraction = report("ple", [ours, peer, rate]).splitlines()
    assert ratio.split("/ deepctr")[1].split() == ["2.00", "3.00", ">=", "1.6", "met"]
    assert fraction.split()[-1] == "0.5000"  # 1 GFLOP/s of 2


def test_verdicts():
    assert verdict(1.59, 1.6) == (">= 1.6", "missed")
    assert verdict(10.0, 10.0, at_most=True) == ("<= 10.0", "met")
    assert verdict(10.1, 10.0, at_most=True)[1] == "missed"


def test_the_readme_shows_the_last_run_of_each_benchmark(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    best, peer = "keras_mtl XLA, 16 steps", "deepctr"
    for date, factor in (("2025", 1.0), ("2026", 3.0)):
        figures = [
            Figure("training", name, "best epoch", value * factor, "rows/s", "keras==3", "ple")
            for name, value in ((best, 777.0), (peer, 518.0))
        ]
        append_csv(tmp_path / "training.csv", figures, replace(ORIGIN, date=date))
    start = [Figure("startup", best, "first step", 1.27, "s", model="ple", device="A GPU")]
    append_csv(tmp_path / "startup.csv", start, ORIGIN)
    write_readme(readme, tmp_path)
    text = readme.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert f"| {best} |  | 2,331 |  | 1.00 |" in text
    assert f"| {peer} |  | 1,554 |  | 1.50 |" in text
    assert f"| {best} | ple | 1.3 |  |" in text
    assert "777" not in text
    assert all(words in text for words in ("8 rows of synthetic", "keras==3", "A GPU"))


def test_a_readme_without_figures_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}\nold\n{END}\n")
    with pytest.raises(ValueError, match="must hold figures"):
        write_readme(readme, tmp_path)
    assert readme.read_text() == f"{BEGIN}\nold\n{END}\n"
