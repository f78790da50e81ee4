"""Folders of studies and runs: made with their plan, written aside, renamed into place."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PLAN = "plan.json"
FINISHED = "results.csv"


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
