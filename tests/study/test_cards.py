import json

import pytest

from keras_mtl.study.cards import BEGIN, END, measured_section, record, write_card
from keras_mtl.study.comparison import compared
from keras_mtl.study.results import COLUMNS, read_results, write_results

TASKS = json.dumps({"tasks": [{"name": "income"}]})


def row(model, seed, value, data="census", **columns):
    filled = dict.fromkeys(COLUMNS, "1") | {"settings": TASKS, "monitor": "val_loss"}
    filled |= {"task": "income", "metric": "auc", "split": "test", "model": model, "data": data}
    return filled | {"seed": str(seed), "value": str(value), **columns}


ROWS = [
    *(row("single_task", seed, value) for seed, value in enumerate([0.90, 0.91, 0.92])),
    *(row("ple", seed, value) for seed, value in enumerate([0.91, 0.93, 0.95])),
    *(row("mmoe", seed, 0.5) for seed in range(3)),
    row("boosted_trees", 0, 0.99, monitor="", parameters=""),
    row("ple", 0, 0.1, split="valid"),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "README.md").write_text(f"# PLE\n\n{BEGIN}\n{END}\n\nAfter.\n")
    return tmp_path


def test_results_survive_a_round_trip(tmp_path):
    rows = [row("ple", 0, 0.5, settings='{"a": "b, \\"c\\"\\n"}')]
    write_results(tmp_path / "results.csv", rows)
    assert read_results(tmp_path / "results.csv") == rows
    assert read_results(tmp_path / "none.csv") == []


def test_gain_is_paired_by_seed():
    lines = {line.model: line for line in compared(ROWS, "census")}
    assert lines["ple"].gain.mean == pytest.approx(0.02)
    assert lines["ple"].gain.half_width == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-6)
    assert lines["single_task"].gain is None
    assert lines["boosted_trees"].cells()[3:8] == ["-", "1", "0.9900", "-", "+0.0900"]


def test_a_card_tells_its_own_figures_beside_baseline_and_trees(folder):
    record(folder, "ple", ROWS)
    text = (folder / "README.md").read_text()
    assert "| income | auc (high) | ple | 1 | 3 | 0.9300 | 0.0200 | +0.0200 |" in text
    assert "single_task" in text
    assert "boosted_trees" in text
    assert "mmoe" not in text
    assert text.startswith("# PLE")
    assert text.endswith("After.\n")


def test_recording_again_replaces_the_same_data_and_keeps_others(folder):
    record(folder, "ple", ROWS)
    record(folder, "ple", [row("ple", 0, 0.7, data="synthetic")])
    record(folder, "ple", [row("ple", 0, 0.8)])
    figures = {(r["data"], r["value"]) for r in read_results(folder / "results.csv")}
    assert figures == {("synthetic", "0.7"), ("census", "0.8")}


def test_a_model_with_a_grid_belongs_to_its_system(folder):
    record(folder, "ple", [row("ple levels=2", 0, 0.7), row("pleated", 0, 0.1)])
    assert [r["model"] for r in read_results(folder / "results.csv")] == ["ple levels=2"]


def test_a_card_says_so_while_nothing_is_measured(folder):
    write_card(folder)
    assert "Nothing measured yet" in (folder / "README.md").read_text()
    assert measured_section([]) in (folder / "README.md").read_text()


def test_a_card_that_is_no_text_is_refused_by_its_name(folder):
    (folder / "README.md").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"text in UTF-8\. Received: .*README\.md"):
        write_card(folder)


def test_a_card_without_markers_is_refused(folder):
    (folder / "README.md").write_text("# PLE\n")
    with pytest.raises(ValueError, match="must hold the lines"):
        record(folder, "ple", ROWS)
