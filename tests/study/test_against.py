"""Models that a study names to be compared with: `[against.LABEL]`."""

import pytest

from keras_mtl.study import picture
from keras_mtl.study.cards import measured_section, record
from keras_mtl.study.commands import Options, _compared_runs
from keras_mtl.study.comparison import pairs
from keras_mtl.study.report import comparisons, side_by_side
from keras_mtl.study.results import read_results
from keras_mtl.study.study_file import load_study
from tests.study.test_cards import BEGIN, END, row

AGAINST = """
[against.dense]
name = "shared_bottom"
bottom_units = [7]

[against.wide]
name = "ple"
levels = 2
expert_units = [9]

[data.table.against.dense]
bottom_units = [5]
"""


def measured(model, values, **columns):
    return [row(model, seed, v, study="switch", **columns) for seed, v in enumerate(values)]


ROWS = [
    *measured("switch", [0.91, 0.93, 0.95]),
    *measured("dense", [0.90, 0.91, 0.92], parameters="1000"),
    *measured("wide", [0.92, 0.93, 0.94]),
]
BASELINE = measured("single_task", [0.90, 0.90, 0.90])


def test_they_are_trained_as_the_studys_own_model_and_keep_their_size(write_study):
    study = load_study(write_study(more=AGAINST))
    own, *_ = study.runs("toy", [0, 1], fit={"epochs": 9})
    runs = study.against_runs("toy", [0, 1], fit={"epochs": 9})
    assert [(run.model, run.seed) for run in runs] == [
        ("dense", 0),
        ("dense", 1),
        ("wide", 0),
        ("wide", 1),
    ]
    assert runs[0].model_arguments == {"name": "shared_bottom", "bottom_units": [7]}
    assert runs[0].data_key() == own.data_key()
    for part in ("study", "compile", "fit", "selection", "strategy"):
        assert getattr(runs[0], part) == getattr(own, part)
    compared = _compared_runs([study], "toy", Options(seeds=[0]), boosted=False)
    sizes = {run.model: run.model_arguments for run in compared}
    assert list(sizes) == ["toy", "single_task", "dense", "wide"]
    assert sizes["dense"]["bottom_units"] == [7]
    assert sizes["single_task"]["hidden_units"] != [4]


def test_a_data_section_overrides_them(write_study):
    study = load_study(write_study(more=AGAINST))
    dense, _ = study.against_runs("table", [0], fit={})
    assert dense.model_arguments == {"name": "shared_bottom", "bottom_units": [5]}


def test_without_a_baseline_they_are_all_that_is_compared_with(write_study):
    baseline = '[baseline]\nname = "single_task"\nhidden_units = [4]\ntower_units = []\n'
    study = load_study(write_study((baseline, ""), more=AGAINST))
    compared = _compared_runs([study], "toy", Options(seeds=[0]), boosted=False)
    assert [run.model for run in compared] == ["toy", "dense", "wide"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[against.dense]\nname = 'ple'\nlevles = 2", r"`levles` in \[against.dense\] .*'levels'"),
        ("[against.dense]\nunits = 3", "`name` must be one of"),
        ("[against]\nname = 'ple'", r"must describe a model.* Received: \[against.name\]"),
        ("[against.toy]\nname = 'ple'", "not the name of another one of the study"),
        ("[against.single_task]\nname = 'ple'", r"Received: \[against.single_task\]"),
        ("[against.boosted_trees]\nname = 'ple'", "`boosted_trees`"),
        ("[against.'a b']\nname = 'ple'", "label of letters"),
        ("[data.toy.against.dense]\nname = 'plee'", "Did you mean 'ple'"),
    ],
)
def test_what_tables_could_not_tell_apart_or_nothing_takes_is_refused(write_study, more, said):
    with pytest.raises(ValueError, match=said):
        load_study(write_study(more=more))


def test_two_studies_with_one_label_are_not_compared(write_study, place):
    (place / "other").mkdir()
    studies = [
        load_study(write_study(more=AGAINST)),
        load_study(write_study(more=AGAINST, name="other/two.toml")),
    ]
    with pytest.raises(ValueError, match="Received twice: dense, of toy and of two"):
        _compared_runs(studies, "toy", Options(seeds=[0]), boosted=False)


def test_the_studys_model_is_compared_with_each_of_them():
    assert pairs([*BASELINE, *ROWS]) == [("switch", "dense"), ("switch", "wide")]
    section = measured_section(ROWS)
    assert "| income | auc (high) | dense | 1,000 | 3 | 0.9100 | 0.0100 |\n" in section
    assert "| income | auc (high) | switch - dense | 3 | +0.0200 | [-0.0048, +0.0448] |" in section
    assert "| income | auc (high) | switch - wide | 3 | +0.0000 |" in section
    assert "each network at the size that its study gives it" in section
    assert "single_task" not in section


def test_beside_a_baseline_both_differences_are_told():
    section = measured_section([*BASELINE, *ROWS])
    assert "| income | auc (high) | switch | 1 | 3 | 0.9300 | 0.0200 | +0.0300 |" in section
    assert "switch - dense" in section
    assert "switch - single_task" not in section
    assert "networks with equal budgets but for dense, wide;" in section
    printed = side_by_side([*BASELINE, *ROWS])
    assert printed.splitlines()[2].split("  ")[-3:] == [
        "switch - single_task",
        "switch - dense",
        "switch - wide",
    ]
    assert "+0.0200 better" in printed
    assert "switch - wide" in comparisons(ROWS)


def test_seeds_that_are_not_shared_are_not_compared():
    other = [row("dense", 7, 0.5, study="switch")]
    assert "switch - dense" not in measured_section([*measured("switch", [0.9]), *other])


def test_a_card_keeps_the_rows_of_its_own_study(tmp_path):
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    foreign = [row("dense2", 0, 0.5, study="moe")]
    record(tmp_path, "switch", [*ROWS, *foreign])
    models = {found["model"] for found in read_results(tmp_path / "results.csv")}
    assert models == {"switch", "dense", "wide"}


def test_the_picture_marks_what_is_compared_with(tmp_path, monkeypatch):
    drawn = []
    save = picture.save
    monkeypatch.setattr(
        picture, "save", lambda figure, path: (drawn.append(figure), save(figure, path))
    )
    picture.draw(ROWS, tmp_path / "comparison.png")
    (axis,) = drawn[0].axes
    grey = [line for line in axis.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in grey] == pytest.approx([0.91, 0.93])
