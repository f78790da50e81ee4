import json
from pathlib import Path

import pytest

from keras_mtl.study.cards import BEGIN, measured_section
from keras_mtl.study.results import read_results
from keras_mtl.study.study_file import load_study

ZOO = Path(__file__).parents[2] / "zoo"
FOLDERS = sorted(path.parent for path in ZOO.glob("*/study.toml"))
TABLES = {"single_task", "shared_bottom", "moe", "mmoe", "omoe", "cgc", "ple"}
SEQUENCES = {"switch_transformer"}


def folders(names=TABLES | SEQUENCES):
    chosen = [folder for folder in FOLDERS if folder.name in names]
    return pytest.mark.parametrize("folder", chosen, ids=lambda folder: folder.name)


def test_every_system_has_a_folder():
    assert {folder.name for folder in FOLDERS} == TABLES | SEQUENCES


@folders(TABLES)
def test_a_study_asks_for_runs_on_all_its_data(folder):
    study = load_study(folder / "study.toml")
    assert study.data_names == ["synthetic_tasks", "correlations", "census_income"]
    counts = [len(study.runs(data, [0], fit={})) for data in study.data_names]
    assert counts == [1, 3, 1]


@folders(TABLES)
def test_studies_differ_in_the_system_alone(folder):
    study, ple = (load_study(path / "study.toml") for path in (folder, ZOO / "ple"))
    for data in study.data_names:
        own, other = (of.runs(data, [0], fit={})[0] for of in (study, ple))
        assert own.data_key() == other.data_key()
        assert (own.compile, own.fit, own.selection) == (other.compile, other.fit, other.selection)
        for argument in ("tower_units", "dropout"):
            towers = [run.model_arguments.get(argument) for run in (own, other)]
            assert towers[0] == towers[1]


def test_the_single_task_study_is_the_baseline_of_the_others():
    single, ple = (load_study(ZOO / name / "study.toml") for name in ("single_task", "ple"))
    for data in single.data_names:
        own = [run.model_arguments for run in single.runs(data, [0], fit={})]
        assert own == [run.model_arguments for run in ple.baseline_runs(data, [0], fit={})]


@folders()
def test_a_card_shows_what_its_results_say(folder):
    text = (folder / "README.md").read_text()
    assert BEGIN in text
    assert measured_section(read_results(folder / "results.csv")) in text


# The card of `switch_transformer` says with which setting it was measured.
@folders(TABLES)
def test_results_are_those_of_the_study_as_it_is(folder):
    """A card would else show what nobody can measure again: only widths are fitted to a budget."""
    study = load_study(folder / "study.toml")
    own = [row for row in read_results(folder / "results.csv") if row["study"] == study.name]
    assert own
    for text in {row["settings"] for row in own}:
        measured = json.loads(text)
        data = measured["data"].split()[0]  # "correlations correlation=0.5" is one of several
        now = [run.to_dict() for run in study.runs(data, [measured["seed"]], fit={})]
        assert without_widths(measured) in [without_widths(run) for run in now]


def without_widths(settings):
    arguments = settings["model_arguments"].items()
    kept = {name: value for name, value in arguments if not name.endswith("_units")}
    return settings | {"model_arguments": kept}
