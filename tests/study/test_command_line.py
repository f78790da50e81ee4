import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mtl.__main__ import INTERRUPTED, main
from keras_mtl.study import execution
from keras_mtl.study.commands import distinct_studies, require
from keras_mtl.study.results import read_results
from keras_mtl.study.serving_check import answer
from keras_mtl_command import run_by_name

ROOT = Path(__file__).parents[2]
TINY = """
base = "{base}"

[data.synthetic_tasks]
num_train = 200
num_valid = 50
num_test = 60
num_features = 4

[data.synthetic_tasks.fit]
epochs = 1
"""


@pytest.mark.slow
def test_the_first_command_of_the_readme(tmp_path):
    """`python -m zoo ple` as a newcomer runs it, with fewer rows."""
    zoo = tmp_path / "zoo"
    (zoo / "ple").mkdir(parents=True)
    (zoo / "__init__.py").touch()
    (zoo / "__main__.py").write_text((ROOT / "zoo" / "__main__.py").read_text())
    (zoo / "ple" / "study.toml").write_text(TINY.format(base=ROOT / "zoo" / "ple" / "study.toml"))
    command = [sys.executable, "-m", "zoo", "ple", "--batch-size", "50", "--out", "mine"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for said in (
        "PLE: two levels",
        "200 rows to train on, 50 to choose by, 60 to report",
        "[1/2] ple on synthetic_tasks, seed 0",
        "kept epoch 1 of 1",
        "ple - single_task",
        "by a process without Keras: 60 rows x 2 tasks",
        "Everything lies in mine:",
    ):
        assert said in done.stdout
    run = tmp_path / "mine" / "ple-synthetic-tasks-seed-0"
    rows = np.zeros((3, 4), "float32")
    expected = keras.saving.load_model(run / "model.keras").predict(rows, verbose=0)
    served = answer(run / "export" / "1", {"features": rows})
    np.testing.assert_allclose(served["task_0"], expected["task_0"], rtol=1e-5)
    assert {row["model"] for row in read_results(tmp_path / "mine" / "results.csv")} == {
        "ple",
        "single_task",
    }


@pytest.mark.slow
def test_compare_with_budgets_trees_cards_and_a_picture(write_study, place, capsys):
    (place / "cgc").mkdir()
    path = write_study(('name = "ple"\nlevels = 1', 'name = "cgc"'), name="cgc/study.toml")
    card = "# CGC\n<!-- measured: begin -->\n<!-- measured: end -->\n"
    (place / "cgc" / "README.md").write_text(card)
    options = ["--seeds", "2", "--trees", "--cards", "--epochs", "1"]
    assert main(["compare", str(path), *options]) == 0
    said = capsys.readouterr().out
    assert "minus single_task" in said
    folder = place / "runs" / "compare" / "toy" / "001"
    rows = read_results(folder / "results.csv")
    models = {row["model"] for row in rows}
    assert models == {"cgc", "single_task", "boosted_trees"}
    assert {row["seed"] for row in rows} == {"0", "1"}
    budgets = {row["model"]: int(row["parameters"] or 0) for row in rows}
    assert budgets["single_task"] == pytest.approx(budgets["cgc"], rel=0.1)
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert "| a | auc (high) | boosted_trees |" in (place / "cgc" / "README.md").read_text()


@pytest.mark.slow
def test_an_interrupted_run_on_columns_goes_on_and_is_served_raw(
    write_study, place, monkeypatch, capsys
):
    command = ["run", str(write_study()), "--data", "table", "--epochs", "1"]
    with monkeypatch.context() as broken:
        broken.setattr(execution.runner, "train", _interrupt)
        assert main(command) == INTERRUPTED
    assert "The same command goes on" in capsys.readouterr().err
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "120 rows x 2 tasks differ from Keras' predictions by at most" in said
    assert [folder.name for folder in (place / "runs" / "toy" / "table").iterdir()] == ["001"]


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_list_shows_systems_data_and_studies(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for word in ("shared_bottom", "census_income", "zoo/ple/study.toml"):
        assert word in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--data", "tabel"], "Did you mean 'table'"),
        (["--out", "."], "`--out` must be a new folder"),
    ],
)
def test_bad_options_are_one_sentence_and_leave_nothing(write_study, place, capsys, options, said):
    path = write_study()
    before = sorted(place.iterdir())
    assert main(["run", str(path), *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert sorted(item for item in place.iterdir() if item.name != "__pycache__") == before


def test_missing_data_files_are_one_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(ROOT / "zoo" / "ple" / "study.toml")
    assert main(["run", path, "--data", "census_income", "--data-dir", str(tmp_path)]) == 2
    assert "census-income.data" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [["--epochs", "0"], ["--seeds", "x"], ["--seed", "1", "--seeds", "2"]]
)
def test_options_that_cannot_be(options, capsys):
    with pytest.raises(SystemExit):
        main(["run", "study.toml", *options])
    assert "error: argument" in capsys.readouterr().err


def test_a_study_named_twice_is_compared_once(write_study, place):
    path = write_study()
    (place / "other").mkdir()
    assert [study.name for study in distinct_studies([path, place / "toy.toml"])] == ["toy"]
    other = write_study(name="other/toy.toml")
    with pytest.raises(ValueError, match="must have distinct names"):
        distinct_studies([path, other])


def test_a_comparison_without_cards_to_write_is_refused_before_it_trains(
    write_study, place, capsys
):
    assert main(["compare", str(write_study()), "--cards"]) == 2
    assert "A card must hold the lines" in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_a_comparison_without_its_libraries_is_refused_before_it_trains():
    with pytest.raises(ValueError, match=r"keras-mtl\[study\].*no_such_library"):
        require("json", "no_such_library")


def test_the_short_form_names_the_nearest_study(tmp_path, capsys):
    (tmp_path / "ple").mkdir()
    (tmp_path / "ple" / "study.toml").touch()
    assert run_by_name(tmp_path, ["pel"]) == 2
    assert "Did you mean 'ple'" in capsys.readouterr().err
