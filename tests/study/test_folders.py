import json

import pytest

from keras_mtl.study.continuation import chosen_folder, study_folder
from keras_mtl.study.folders import FINISHED, write_text, written_aside
from keras_mtl.study.results import COLUMNS, write_results


def plan(*seeds, **settings):
    """Settings of runs that differ in their seed."""
    return [{"model": "ple", "seed": seed, **settings} for seed in seeds]


def finish(folder, runs):
    """Results as `execute` writes them."""
    rows = [
        dict.fromkeys(COLUMNS, "") | {"settings": json.dumps(run, sort_keys=True)} for run in runs
    ]
    write_results(folder / FINISHED, rows)


def test_finished_studies_get_a_new_number(tmp_path):
    first = study_folder(tmp_path, plan(0))
    finish(first, plan(0))
    second = study_folder(tmp_path, plan(0))
    assert [first.name, second.name] == ["001", "002"]


def test_an_interrupted_study_goes_on_in_its_folder(tmp_path):
    first = study_folder(tmp_path, plan(0))
    assert study_folder(tmp_path, plan(0)) == first


def test_another_plan_never_enters_an_interrupted_folder(tmp_path):
    study_folder(tmp_path, plan(0))
    assert study_folder(tmp_path, plan(0, epochs=3)).name == "002"
    assert study_folder(tmp_path, plan(0)).name == "001"


def test_more_seeds_go_into_the_finished_folder_of_the_fewer(tmp_path):
    first = study_folder(tmp_path, plan(0, 1))
    finish(first, plan(0, 1))
    other = study_folder(tmp_path, plan(0, epochs=3))
    assert other != first
    assert study_folder(tmp_path, plan(0, 1, 2)) == first
    # Interrupted while it added: its results are of the fewer seeds.
    assert study_folder(tmp_path, plan(0, 1, 2)) == first
    finish(first, plan(0, 1, 2))
    assert study_folder(tmp_path, plan(0, 1, 2)).name == "003"


def test_fewer_seeds_or_another_setting_leave_a_finished_folder_alone(tmp_path):
    first = study_folder(tmp_path, plan(0, 1))
    finish(first, plan(0, 1))
    assert study_folder(tmp_path, plan(0)).name == "002"
    assert study_folder(tmp_path, plan(0, 1, 2, epochs=3)).name == "003"


def test_numbers_go_on_after_999(tmp_path):
    (tmp_path / "999").mkdir()
    assert study_folder(tmp_path, plan(0)).name == "1000"
    finish(tmp_path / "1000", plan(0))
    assert study_folder(tmp_path, plan(0)).name == "1001"


def test_a_chosen_folder_takes_only_its_own_plan_and_more_runs_of_it(tmp_path):
    folder = tmp_path / "mine"
    assert chosen_folder(folder, plan(0)) == chosen_folder(folder, plan(0))
    assert chosen_folder(folder, plan(0, 1)) == folder
    for other in (plan(0), plan(0, 1, epochs=3)):
        with pytest.raises(ValueError, match="`--out` must be a new folder"):
            chosen_folder(folder, other)


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="`--out` must be a new folder"):
        chosen_folder(tmp_path, plan(0))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def interrupted(folder):
    with written_aside(folder) as partial:
        (partial / "log.csv").write_text("epoch 1")
        raise RuntimeError("power cut")


def test_a_run_folder_exists_only_whole(tmp_path):
    with pytest.raises(RuntimeError, match="power"):
        interrupted(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with written_aside(tmp_path / "run") as partial:
        assert not (partial / "log.csv").exists()
        (partial / "metrics.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_text_is_replaced_in_one_move(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]
