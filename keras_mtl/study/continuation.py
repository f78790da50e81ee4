"""Which folder a study goes on in: a new one, an interrupted one, one to which runs are added."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from keras_mtl.study.folders import FINISHED, is_empty, read_plan, start_folder
from keras_mtl.study.lock import locked
from keras_mtl.study.results import read_results
from keras_mtl.study.run_settings import Table

# The settings of every run, in their order.
Plan = Sequence[Table]
_NUMBER = re.compile(r"[0-9]{3,}")


@contextmanager
def study_folder(parent: Path, plan: Plan) -> Iterator[Path]:
    """The folder under `parent` for a plan: one that it continues, else the next number.

    A plan continues a folder that was interrupted in it, and one all of whose runs it holds beside
    others, such as further seeds: those runs are kept, and the tables are written anew. A plan that
    is finished starts again under the next number. Inside, no other process has the folder.

    Raises:
        ValueError: where another process has the folder, or a plan there cannot be read.
    """
    folder = _continued(parent, plan) or _next(parent)
    with locked(folder):
        yield start_folder(folder, plan)


@contextmanager
def chosen_folder(folder: Path, plan: Plan) -> Iterator[Path]:
    """The folder named by the user: new, or one whose runs are all in the plan.

    Inside, no other process has it.

    Raises:
        ValueError: for a folder that holds anything else, or that another process has.
    """
    _check_free(folder, plan)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _check_free(folder, plan)  # another process may have come first
        yield start_folder(folder, plan)


def _continued(parent: Path, plan: Plan) -> Path | None:
    for number in reversed(_numbers(parent)):
        folder = _numbered(parent, number)
        if _keys(read_plan(folder) or []) == _keys(plan) and _is_finished(folder, plan):
            return None
        if _holds(folder, plan):
            return folder
    return None


def _next(parent: Path) -> Path:
    """Makes the folder of the next number that no other process makes."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(max(_numbers(parent), default=0) + 1):
        folder = _numbered(parent, number)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("itertools.count ends nowhere")


def _numbers(parent: Path) -> list[int]:
    """Numbers of the folders, sorted; what a user calls `001 copy` is none of them."""
    names = [path.name for path in parent.iterdir()] if parent.is_dir() else []
    return sorted({int(name) for name in names if _NUMBER.fullmatch(name)})


def _numbered(parent: Path, number: int) -> Path:
    return parent / f"{number:03d}"


def _check_free(folder: Path, plan: Plan) -> None:
    if not folder.exists() or (folder.is_dir() and (is_empty(folder) or _holds(folder, plan))):
        return
    raise ValueError(
        "Argument `--out` must be a new folder or one with the same study and settings, to "
        f"which seeds and models may only be added. Received: --out={folder}"
    )


def _holds(folder: Path, plan: Plan) -> bool:
    """Whether a folder has a plan, all of whose runs are in this one."""
    old = _keys(read_plan(folder) or [])
    return bool(old) and old <= _keys(plan)


def _is_finished(folder: Path, plan: Plan) -> bool:
    """Whether the results of a folder tell of all runs, so that nothing is left to train."""
    return {row["settings"] for row in read_results(folder / FINISHED)} >= _keys(plan)


def _keys(plan: Plan) -> set[str]:
    """Settings as `results.csv` keeps them."""
    return {json.dumps(settings, sort_keys=True) for settings in plan}
