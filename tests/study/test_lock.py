"""A study's folder has one process at a time; a lock never outlives its process."""

import subprocess
import sys

import pytest

from keras_mtl.__main__ import main
from keras_mtl.study import lock

# What another process does, without Keras: it holds the folder until its input ends.
HOLDER = """
import runpy, sys
with runpy.run_path(sys.argv[1])["locked"](__import__("pathlib").Path(sys.argv[2])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Starts a process that holds a folder."""
    started = []

    def hold(folder):
        command = [sys.executable, "-c", HOLDER, lock.__file__, str(folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, **pipes)
        started.append(process)
        assert process.stdout.readline() == "locked\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def enter(folder):
    with lock.locked(folder):
        return True


def test_a_folder_that_another_process_has_is_refused_by_a_sentence(hold, tmp_path):
    process = hold(tmp_path)
    with pytest.raises(ValueError, match=r"one process at a time.*`--out`. Received: "):
        enter(tmp_path)
    process.communicate("")
    assert enter(tmp_path)


def test_the_lock_of_a_killed_process_does_not_block(hold, tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.wait()
    assert (tmp_path / lock.LOCK).exists()
    assert enter(tmp_path)


def test_a_comparison_into_a_folder_in_use_is_refused_before_it_writes(
    hold, write_study, place, capsys
):
    path = str(write_study())
    (place / "mine").mkdir()
    hold(place / "mine")
    for command in ("run", "compare"):
        assert main([command, path, "--out", "mine"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "one process at a time" in line
        assert "mine" in line
    assert [file.name for file in (place / "mine").iterdir()] == [lock.LOCK]


def test_a_folder_can_be_used_where_the_system_has_no_locks(tmp_path, monkeypatch):
    class NoLocks:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def lockf(*_):
            raise OSError(37, "No locks available")

    for fcntl in (None, NoLocks):
        monkeypatch.setattr(lock, "fcntl", fcntl)
        assert enter(tmp_path)
