"""Folders of studies and runs: made with their plan, written aside, renamed into place."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras_mtl.study.lock import LOCK
from keras_mtl.writing import put

PLAN = "plan.json"
FINISHED = "results.csv"
_PARTIAL = ".partial"
_WHOLE = (
    "must be the plan of a study, as it was written. Name another folder with `--out`, or remove "
    "this one."
)


def start_folder(folder: Path, plan: Any) -> Path:
    """Puts its plan into the folder of a study, which this process has locked."""
    for path in folder.iterdir():
        if _is_left(path):
            _remove(path)
    write_json(folder / PLAN, plan)
    return folder


def read_plan(folder: Path) -> list[dict[str, Any]] | None:
    """The plan of a folder, or None where there is none.

    Raises:
        ValueError: for a file that is no plan.
    """
    path = folder / PLAN
    if not path.exists():
        return None
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # no JSON, or no UTF-8
        raise ValueError(f"File {path} {_WHOLE} Received: {error}") from error
    if not isinstance(plan, list) or not all(isinstance(run, dict) for run in plan):
        raise ValueError(f"File {path} {_WHOLE} Received: no list of tables")
    return plan


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but a lock, and what a kill left of files written aside."""
    return all(path.name == LOCK or _is_left(path) for path in folder.iterdir())


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A folder `NAME.partial` to write into, renamed to `NAME` when all went well.

    So a run's folder exists only whole, and what an interruption left is replaced by the next
    attempt.
    """
    partial = folder.with_name(folder.name + _PARTIAL)
    _remove(partial)
    partial.mkdir(parents=True)  # fails where somebody put a link there meanwhile
    yield partial
    partial.rename(folder)


@contextmanager
def file_aside(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write into, renamed to `path` when all went well.

    Nobody can have put a link under its name: the name is drawn, and made by nobody else. The file
    is on the disk before its name is, so that after a power cut there is the old one or the new.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_PARTIAL}")
    aside.open("x").close()
    try:
        yield aside
        put(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a file aside, in UTF-8, and renames it into place."""
    with file_aside(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: Any) -> None:
    """Writes a readable JSON file aside and renames it into place."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def _is_left(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(_PARTIAL)


def _remove(path: Path) -> None:
    """Removes a file, a folder, or a link and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
