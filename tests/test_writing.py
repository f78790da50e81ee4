"""Who writes aside is alone there; what a killed process left is told from what another holds."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest

from keras_mtl import writing
from keras_mtl.writing import ASIDE, LOCK, aside_folder, put, remove_abandoned


def left_by_a_kill(parent: Path) -> Path:
    before = {*parent.iterdir()}
    folder = parent / f"{ASIDE}abandoned"
    (folder / writing.CONTENT).mkdir(parents=True)
    (folder / writing.CONTENT / "half").write_text("half")
    (folder / LOCK).touch()
    assert {*parent.iterdir()} - before == {folder}
    return folder


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left_by_a_kill(tmp_path)
    (tmp_path / f"{ASIDE}empty").mkdir()  # killed before its lock was made
    remove_abandoned(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_what_a_living_process_holds_stays(tmp_path: Path) -> None:
    with aside_folder(tmp_path) as mine:
        (mine / "half").write_text("half")
        remove_abandoned(tmp_path)
        assert (mine / "half").read_text() == "half"
        with aside_folder(tmp_path) as other:
            assert other != mine
            assert mine.exists()
    assert not [*tmp_path.iterdir()]


def test_what_belongs_to_others_stays(tmp_path: Path) -> None:
    elsewhere = left_by_a_kill(tmp_path).rename(tmp_path / "elsewhere")
    (tmp_path / f"{ASIDE}link").symlink_to(elsewhere)
    (tmp_path / f"{ASIDE}file").write_text("a file of another's")
    (tmp_path / f"{ASIDE}other").mkdir()
    (tmp_path / f"{ASIDE}other" / "notes").write_text("no lock: not of this kind")
    (tmp_path / ".1-abcdefgh").mkdir()
    before = sorted(tmp_path.rglob("*"))
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_is_taken_before_its_lock_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, taken = writing.tempfile.mkdtemp, []

    def make_and_lose(**options: object) -> str:
        folder = Path(make(**options))  # type: ignore[call-overload]
        if not taken:
            taken.append(folder)
            remove_abandoned(tmp_path)
        return str(folder)

    monkeypatch.setattr(writing.tempfile, "mkdtemp", make_and_lose)
    with aside_folder(tmp_path) as folder:
        assert folder.parent != taken[0]
        assert folder.exists()


def test_a_lock_that_another_process_took_first_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / LOCK
    with path.open("xb") as mine, path.open("r+b") as others:
        fcntl.flock(others, fcntl.LOCK_EX)
        assert not writing._hold(mine)
        path.unlink()
        fcntl.flock(others, fcntl.LOCK_UN)
        assert not writing._hold(mine)


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "fcntl", None)  # as on Windows
    folder = left_by_a_kill(tmp_path)
    with aside_folder(tmp_path) as mine:
        (mine / "a").write_text("new")
        put(mine / "a", tmp_path / "a")
    assert sorted(tmp_path.iterdir()) == [folder, tmp_path / "a"]


def test_nobody_else_can_write_there(tmp_path: Path) -> None:
    with aside_folder(tmp_path) as folder:
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert not [*tmp_path.iterdir()]


def write_until_full(parent: Path) -> BinaryIO:
    with suppress(OSError), aside_folder(parent) as folder:
        (folder / "link").symlink_to(parent / "mine")
        (folder / "same").hardlink_to(parent / "mine")
        left = (folder / "half").open("wb", buffering=0)
        left.write(bytes(1000))
        raise OSError("full")
    return left


def test_an_error_gives_the_room_back_though_a_file_stays_open(tmp_path: Path) -> None:
    """HDF5 holds files that it cannot write to the end; what others hold by name is not touched."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    left = write_until_full(tmp_path)
    with left:
        assert os.fstat(left.fileno()).st_size == 0
    assert mine.read_text() == "mine"
    assert [*tmp_path.iterdir()] == [mine]
