"""A file is the old one until it is the new one, whatever happens in between."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.utils import io_utils

from keras_mtl import MultiTaskModel
from keras_mtl.training import saved_folders
from tests.training.killed_saves import KINDS, SHARDS, fill, make_model, save, value_of

PROGRAM = str(Path(__file__).with_name("killed_saves.py"))
TIMEOUT = 300  # seconds; an idle machine takes 15


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    return make_model()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_to_flush(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


# --- kills and full disks ---


def outcomes(*arguments: Any) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def aimed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return outcomes("aimed", tmp_path_factory.mktemp("aimed"))


def test_a_kill_leaves_the_old_file_or_the_new_one_and_the_next_save_clears_up(
    aimed: dict[str, Any],
) -> None:
    for moment, (after, left, in_the_end, left_in_the_end) in aimed["killed"].items():
        is_new = moment == f"s.weights.json rename {SHARDS + 2}"  # the index is there
        assert (after, left) == (2.0 if is_new else 1.0, 1), moment
        assert (in_the_end, left_in_the_end) == (2.0, 0), moment


def test_a_killed_export_leaves_what_the_next_clears_up(aimed: dict[str, Any]) -> None:
    assert aimed["exports"] == {key: [[True], ["2"]] for key in ("export", "flush", "rename")}


@pytest.mark.slow
def test_thirty_random_kills_leave_whole_files(tmp_path: Path) -> None:
    found = outcomes("random", tmp_path, 30, 0)
    assert found.pop("asides") == 0
    assert sum(map(len, found.values())) == 30
    assert not [value for values in found.values() for value in values if isinstance(value, str)]


def test_a_full_disk_leaves_the_old_file(aimed: dict[str, Any]) -> None:
    """HDF5 may end the process where it cannot write; Python's own files end in an error."""
    for kind, (end, left, after, in_the_end, left_in_the_end) in aimed["full"].items():
        assert (end, left) in [("error", 0), *([("kill", 1)] if kind != "m.keras" else [])], kind
        assert (after, in_the_end, left_in_the_end) == (1.0, 2.0, 0), kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=repr)
def test_an_error_before_the_file_is_on_disk_leaves_the_old_one(
    kind: str,
    error: BaseException,
    model: MultiTaskModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(descriptor: int) -> None:
        raise error

    fill(model, 1.0)
    save(model, tmp_path / kind)
    before = names_in(tmp_path)
    fill(model, 2.0)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(error)):
        save(model, tmp_path / kind)
    assert names_in(tmp_path) == before
    assert value_of(tmp_path / kind) == 1.0


def test_a_model_that_has_no_room_is_not_begun(
    model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    for kind in KINDS:
        with pytest.raises(OSError, match=rf"needs \d+ bytes, and 100 are free.*{kind}") as raised:
            save(model, tmp_path / kind)
        assert raised.value.errno == errno.ENOSPC
    assert not names_in(tmp_path)


@pytest.mark.parametrize("weights_only", [False, True])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    weights_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("best.weights.h5" if weights_only else "best.keras")
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=weights_only)
    model, x, y = make_model(), np.ones((4, 4), "float32"), {"click": np.ones(4)}
    model.fit(x, y, verbose=0, callbacks=[checkpoint])
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", fail_to_flush)
    with pytest.raises(OSError, match="No space left"):
        model.fit(x, y, verbose=0, callbacks=[checkpoint])
    assert path.read_bytes() == before
    assert names_in(tmp_path) == [path.name]


# --- otherwise as Keras ---


@pytest.mark.parametrize("kind", KINDS)
def test_permissions_are_those_that_keras_gives(
    kind: str, model: MultiTaskModel, tmp_path: Path
) -> None:
    mask = os.umask(0o027)
    try:
        save(model, tmp_path / kind)
    finally:
        os.umask(mask)
    mode = 0o750 if kind == "folder" else 0o640
    assert (tmp_path / kind).stat().st_mode & 0o777 == mode
    (tmp_path / kind).chmod(mode | 0o007)
    save(model, tmp_path / kind)
    assert (tmp_path / kind).stat().st_mode & 0o777 == mode | 0o007


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_leads_to_the_new_model(
    exists: bool, model: MultiTaskModel, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    if exists:
        (tmp_path / "runs" / "7").write_text("old")
    link = tmp_path / "latest.keras"
    link.symlink_to(Path("runs") / "7")
    fill(model, 3.0)
    model.save(str(link))
    assert link.is_symlink()
    assert value_of(link) == 3.0
    assert names_in(tmp_path / "runs") == ["7"]


def test_sharded_weights_lie_beside_their_index(model: MultiTaskModel, tmp_path: Path) -> None:
    """Also where a link stood: Keras looks for them where it found the index."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s.weights.json").symlink_to(tmp_path / "elsewhere" / "s.weights.json")
    shards = [f"s_{number:05}.weights.h5" for number in range(2 * SHARDS)]
    for value, numbers in ((1.0, range(SHARDS)), (2.0, [0, 3, 4, 5]), (3.0, range(SHARDS))):
        fill(model, value)
        with pytest.warns(UserWarning, match=r"s\.weights\.h5 will be renamed to .*s\.weights\.j"):
            model.save_weights(tmp_path / "s.weights.h5", max_shard_size=5e-7)
        assert value_of(tmp_path / "s.weights.json") == value
        assert names_in(tmp_path) == ["elsewhere", "s.weights.json", *(shards[n] for n in numbers)]


@pytest.mark.parametrize("exchange", [True, False])
def test_other_files_in_an_unzipped_model_stay(
    exchange: bool, model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:  # as where Linux is not, or its file system cannot
        monkeypatch.setattr(saved_folders, "_exchange", lambda left, right: False)
    model.save(tmp_path / "new" / "folder", zipped=False)
    folder = tmp_path / "new" / "folder"
    (folder / "notes").mkdir()
    (folder / "notes" / "README.md").write_text("mine")
    fill(model, 5.0)
    model.save(folder, zipped=False)
    assert (folder / "notes" / "README.md").read_text() == "mine"
    assert value_of(folder) == 5.0
    assert names_in(tmp_path / "new") == ["folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_overwriting_is_asked_for(
    kind: str, model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers = [False, True]

    def ask(path: Any) -> bool:
        asked.append(str(path))
        return answers.pop(0)

    options: dict[str, Any] = {"folder": {"zipped": False}, KINDS[2]: {"max_shard_size": 1}}
    write = model.save_weights if ".weights" in kind else model.save
    monkeypatch.setattr(io_utils, "ask_to_proceed_with_overwrite", ask)
    path = tmp_path / kind
    fill(model, 1.0)
    write(path, overwrite=False, **options.get(kind, {}))
    assert not asked
    fill(model, 2.0)
    for value in (1.0, 2.0):
        write(path, overwrite=False, **options.get(kind, {}))
        assert value_of(path) == value
    assert asked == [str(path)] * 2


def test_a_folder_that_takes_no_files_is_written_as_keras_does_with_a_warning(
    model: MultiTaskModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    path = tmp_path / "m.keras"
    model.save(path)
    monkeypatch.setattr(os, "access", lambda at, how: at != tmp_path and access(at, how))
    fill(model, 4.0)
    with pytest.warns(UserWarning, match=r"m\.keras is written over in place"):
        model.save(path)
    assert value_of(path) == 4.0


@pytest.mark.parametrize("path", ["gs://bucket/m.keras", "/gcs/bucket/m.keras", "hf://user/model"])
def test_remote_paths_are_left_to_keras(
    path: str, model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(keras.Model, "save", lambda self, path, **options: calls.append(path))
    monkeypatch.setattr(
        keras.Model, "save_weights", lambda self, path, **options: calls.append(path)
    )
    weights = path.replace(".keras", ".weights.h5")
    model.save(path)
    model.save_weights(weights)
    assert calls == [path, weights]


@pytest.mark.parametrize("name", ["m.txt", "missing/m.keras", "taken.keras"])
def test_what_keras_refuses_is_refused_by_its_own_name(
    name: str, model: MultiTaskModel, tmp_path: Path
) -> None:
    (tmp_path / "taken.keras").mkdir()
    with pytest.raises((ValueError, OSError), match=name):
        model.save(tmp_path / name)
    assert names_in(tmp_path) == ["taken.keras"]
    with pytest.raises(ValueError, match=r"must end in .*weights.*m\.txt"):
        model.save_weights(tmp_path / "m.txt")
