"""Comparisons from the shell: seeds that are added, no pictures, differences of nothing."""

import importlib.util

import pytest

from keras_mtl.__main__ import main
from keras_mtl.study import execution, report, runner
from keras_mtl.study.folders import write_json, written_aside
from keras_mtl.study.report import comparisons, side_by_side
from keras_mtl.study.results import read_results
from tests.study.test_cards import row


@pytest.fixture
def trained(monkeypatch):
    """Training is replaced by its outcome; the list of what was trained, in order."""
    done = []

    def train(settings, data, folder, *, export, verbose):
        done.append((settings.model, settings.seed))
        figures = {"a": {"auc": 0.9 + settings.seed / 100}, "b": {"mse": 0.5, "mae": 0.5}}
        with written_aside(folder) as partial:
            write_json(partial / runner.SETTINGS, settings.to_dict())
            runner.write_metrics(
                partial,
                {
                    **dict.fromkeys(("parameters", "parameters_with_embeddings", "epochs"), 1),
                    "seconds": 1.0,
                    "best_epoch": 1,
                    "monitor": "val_loss",
                    "valid": figures,
                    "test": figures,
                },
            )

    monkeypatch.setattr(execution.runner, "train", train)
    return done


def test_more_seeds_are_added_to_a_finished_comparison(write_study, place, trained, capsys):
    command = ["compare", str(write_study()), "--seeds"]
    assert main([*command, "3"]) == 0
    trained.clear()
    assert main([*command, "5"]) == 0
    assert sorted(trained) == [(m, s) for m in ("single_task", "toy") for s in (3, 4)]
    (folder,) = (place / "runs" / "compare" / "toy").iterdir()
    rows = read_results(folder / "results.csv")
    assert {row["seed"] for row in rows} == {"0", "1", "2", "3", "4"}
    said = capsys.readouterr().out
    assert "finished before" in said
    *_, printed = said.split("toy, test rows")
    assert {line.split()[5] for line in printed.splitlines() if "auc" in line} == {"5"}


def test_seeds_of_a_run_are_added_to_a_folder_of_ones_own_and_never_dropped(
    write_study, place, trained, capsys, monkeypatch
):
    exported = []
    monkeypatch.setattr(runner, "export_once", lambda folder: exported.append(folder.name))
    monkeypatch.setattr(report, "served", lambda run, data: "")
    command = ["run", str(write_study()), "--out", "mine", "--seeds"]
    assert main([*command, "1"]) == main([*command, "2"]) == 0
    assert sorted(trained) == [(m, s) for m in ("single_task", "toy") for s in (0, 1)]
    # Whoever trained it may have written none, as `compare` does.
    assert exported == ["toy-toy-seed-0"]
    assert main([*command, "1"]) == 2
    assert "to which seeds and models may only be added" in capsys.readouterr().err


def test_the_table_is_printed_without_matplotlib(write_study, place, trained, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    path = write_study()
    assert main(["compare", str(path), "--seeds", "2"]) == 0
    said = capsys.readouterr().out
    assert "minus single_task" in said
    assert "Picture: none, it needs the extra `study`" in said
    (folder,) = (place / "runs" / "compare" / "toy").iterdir()
    assert (folder / "results.csv").exists()
    assert not (folder / "comparison.png").exists()
    (place / "README.md").write_text("<!-- measured: begin -->\n<!-- measured: end -->\n")
    assert main(["compare", str(path), "--cards"]) == 2
    assert "Received: no matplotlib" in capsys.readouterr().err


def compared(gain, metric="auc"):
    """Rows of two models whose figures differ by `gain`."""
    return [
        row(model, 0, value, data="d", task="income", metric=metric)
        for model, value in (("single_task", 0.5), ("ple", 0.5 + gain))
    ]


@pytest.mark.parametrize("metric", ["auc", "mse"])
@pytest.mark.parametrize("gain", [0.0, 0.00004, -0.00004, 1e-12, -1e-12])
def test_a_difference_that_rounds_to_nothing_is_neither_better_nor_worse(metric, gain):
    printed = side_by_side(compared(gain, metric))
    assert "+0.0000 equal" in printed
    for word in ("better", "worse", "-0.0000"):
        assert word not in printed
    assert "-0.0000" not in comparisons(compared(gain, metric))


@pytest.mark.parametrize(
    ("gain", "metric", "said"),
    [
        (0.0001, "auc", "+0.0001 better"),
        (-0.0001, "auc", "-0.0001 worse"),
        (0.0001, "mse", "+0.0001 worse"),
        (-0.0001, "mse", "-0.0001 better"),
    ],
)
def test_a_difference_that_is_shown_has_a_direction(gain, metric, said):
    assert said in side_by_side(compared(gain, metric))


def test_a_difference_to_nothing_measured_has_no_direction():
    printed = side_by_side(compared(float("nan")))
    assert "better" not in printed
    assert "worse" not in printed
