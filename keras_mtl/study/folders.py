"""Folders of studies and runs: numbered, written aside, renamed into place, resumed."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PLAN = "plan.json"
FINISHED = "results.csv"


def study_folder(parent: Path, plan: Any) -> Path:
    """The folder for a plan: the last one if it was interrupted, else the next number.

    A folder is unfinished while it holds the same plan and no results; only then is it used
    again, so no finished study is ever overwritten.
    """
    numbered = sorted(int(folder.name) for folder in parent.glob("[0-9][0-9][0-9]*"))
    if numbered:
        last = parent / f"{numbered[-1]:03d}"
        if not (last / FINISHED).exists() and read_plan(last) == plan:
            return last
    return start_folder(parent / f"{(numbered or [0])[-1] + 1:03d}", plan)


def chosen_folder(folder: Path, plan: Any) -> Path:
    """The folder named by the user: new, or one that holds the same plan and is continued."""
    if not folder.exists() or not any(folder.iterdir()):
        return start_folder(folder, plan)
    if read_plan(folder) != plan:
        raise ValueError(
            "Argument `--out` must be a new folder or one with the same study and settings. "
            f"Received: --out={folder}"
        )
    return folder


def start_folder(folder: Path, plan: Any) -> Path:
    """Creates the folder of a study with its plan in it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, plan)
    return folder


def read_plan(folder: Path) -> Any:
    """The plan of a folder, or None where there is none."""
    path = folder / PLAN
    return json.loads(path.read_text()) if path.exists() else None


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A folder `NAME.partial` to write into, renamed to `NAME` when all went well.

    So a run's folder exists only whole, and what an interruption left is replaced by the next
    attempt.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(folder)


def write_text(path: Path, text: str) -> None:
    """Writes a file aside and renames it into place."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes a readable JSON file aside and renames it into place."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")
