"""Which folder a study goes on in: a new one, an interrupted one, one to which runs are added."""

import json
from collections.abc import Sequence
from pathlib import Path

from keras_mtl.study.folders import FINISHED, read_plan, start_folder
from keras_mtl.study.results import read_results
from keras_mtl.study.run_settings import Table

# The settings of every run, in their order.
Plan = Sequence[Table]


def study_folder(parent: Path, plan: Plan) -> Path:
    """The folder under `parent` for a plan: one that it continues, else the next number.

    A plan continues a folder that was interrupted in it, and one all of whose runs it holds beside
    others, such as further seeds: those runs are kept, and the tables are written anew. A plan that
    is finished starts again under the next number.
    """
    numbers = sorted(int(folder.name) for folder in parent.glob("[0-9][0-9][0-9]*"))
    for number in reversed(numbers):
        folder = parent / f"{number:03d}"
        if _keys(read_plan(folder) or []) == _keys(plan) and _is_finished(folder, plan):
            break
        if _holds(folder, plan):
            return start_folder(folder, plan)
    return start_folder(parent / f"{(numbers or [0])[-1] + 1:03d}", plan)


def chosen_folder(folder: Path, plan: Plan) -> Path:
    """The folder named by the user: new, or one whose runs are all in the plan.

    Raises:
        ValueError: for a folder that holds anything else.
    """
    if folder.exists() and any(folder.iterdir()) and not _holds(folder, plan):
        raise ValueError(
            "Argument `--out` must be a new folder or one with the same study and settings, to "
            f"which seeds and models may only be added. Received: --out={folder}"
        )
    return start_folder(folder, plan)


def _holds(folder: Path, plan: Plan) -> bool:
    """Whether a folder has a plan, all of whose runs are in this one."""
    old = read_plan(folder)
    return bool(old) and _keys(old) <= _keys(plan)


def _is_finished(folder: Path, plan: Plan) -> bool:
    """Whether the results of a folder tell of all runs, so that nothing is left to train."""
    return {row["settings"] for row in read_results(folder / FINISHED)} >= _keys(plan)


def _keys(plan: Plan) -> set[str]:
    """Settings as `results.csv` keeps them."""
    return {json.dumps(settings, sort_keys=True) for settings in plan}
