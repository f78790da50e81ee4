import json
import os
from pathlib import Path

import pytest

from keras_mtl.study import continuation, folders
from keras_mtl.study.folders import FINISHED, PLAN, write_text, written_aside
from keras_mtl.study.results import COLUMNS, write_results


def plan(*seeds, **settings):
    """Settings of runs that differ in their seed."""
    return [{"model": "ple", "seed": seed, **settings} for seed in seeds]


def study_folder(parent, runs):
    """The folder of a plan, of which the process lets go at once."""
    with continuation.study_folder(parent, runs) as folder:
        return folder


def chosen_folder(folder, runs):
    """The folder of one's own, likewise."""
    with continuation.chosen_folder(folder, runs) as chosen:
        return chosen


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


def test_a_folder_with_another_name_than_a_number_is_passed_over(tmp_path):
    first = study_folder(tmp_path, plan(0))
    for name in ("001 copy", "002x", "02", "notes"):
        (tmp_path / name).mkdir()
    assert study_folder(tmp_path, plan(0)) == first
    assert study_folder(tmp_path, plan(1)).name == "002"


def test_a_number_that_another_process_takes_is_not_taken(tmp_path, monkeypatch):
    """Two processes that begin at once see the same numbers."""
    monkeypatch.setattr(continuation, "_numbers", lambda parent: [])
    taken = [study_folder(tmp_path, plan(seed)) for seed in (0, 1)]
    assert [folder.name for folder in taken] == ["001", "002"]
    assert [json.loads((folder / PLAN).read_text())[0]["seed"] for folder in taken] == [0, 1]


@pytest.mark.parametrize(
    "text", [b"", b"[{", b"3", b"{}", b"[3]", b"null", b"\xff", b"[" * 100_000, b"[{}]\0"]
)
def test_a_damaged_plan_is_named(tmp_path, text):
    folder = study_folder(tmp_path, plan(0))
    (folder / PLAN).write_bytes(text)
    for ask in (lambda: study_folder(tmp_path, plan(0)), lambda: chosen_folder(folder, plan(0))):
        with pytest.raises(ValueError, match=r"001/plan\.json must be the plan.*Received: "):
            ask()
    assert (folder / PLAN).read_bytes() == text


@pytest.mark.parametrize("choose", [chosen_folder, study_folder])
def test_a_kill_while_the_plan_is_written_leaves_nothing_in_the_way(tmp_path, monkeypatch, choose):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", kill)
        broken.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process tidies nothing
        with pytest.raises(Killed):
            choose(tmp_path, plan(0))
    (left,) = tmp_path.rglob("*.partial")
    assert not (left.parent / PLAN).exists()
    folder = choose(tmp_path, plan(0))
    assert json.loads((folder / PLAN).read_text()) == plan(0)
    assert not [*folder.glob("*.partial")]


def test_a_planted_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / f"{PLAN}.partial").symlink_to(victim)
    (folder / PLAN).symlink_to(victim)
    (folder / "run.partial").symlink_to(tmp_path)
    folders.write_json(folder / PLAN, plan(0))
    with written_aside(folder / "run") as partial:
        (partial / "metrics.json").write_text("{}")
    assert victim.read_text() == "mine"
    assert not (folder / PLAN).is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study", "victim"]


def test_a_planted_lock_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        chosen_folder(tmp_path / "mine", plan(0))
    assert not victim.exists()


def test_files_have_the_rights_that_the_user_gives_new_ones(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "a.txt", "text")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "\udcff")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
