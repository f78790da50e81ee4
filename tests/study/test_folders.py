import pytest

from keras_mtl.study.continuation import chosen_folder, study_folder
from keras_mtl.study.folders import write_text, written_aside


def test_finished_studies_get_a_new_number(tmp_path):
    first = study_folder(tmp_path, ["plan"])
    (first / "results.csv").write_text("")
    second = study_folder(tmp_path, ["plan"])
    assert [first.name, second.name] == ["001", "002"]


def test_an_interrupted_study_goes_on_in_its_folder(tmp_path):
    first = study_folder(tmp_path, ["plan"])
    assert study_folder(tmp_path, ["plan"]) == first


def test_another_plan_never_enters_an_interrupted_folder(tmp_path):
    study_folder(tmp_path, ["plan"])
    assert study_folder(tmp_path, ["other"]).name == "002"


def test_numbers_go_on_after_999(tmp_path):
    (tmp_path / "999").mkdir()
    assert study_folder(tmp_path, []).name == "1000"
    (tmp_path / "1000" / "results.csv").write_text("")
    assert study_folder(tmp_path, []).name == "1001"


def test_a_chosen_folder_takes_only_its_own_plan(tmp_path):
    folder = tmp_path / "mine"
    assert chosen_folder(folder, ["plan"]) == chosen_folder(folder, ["plan"])
    with pytest.raises(ValueError, match="`--out` must be a new folder"):
        chosen_folder(folder, ["other"])


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="`--out` must be a new folder"):
        chosen_folder(tmp_path, ["plan"])
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
