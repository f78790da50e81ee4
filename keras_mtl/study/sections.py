"""The sections of a study file: as they hold for one data section, and what they may hold."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_mtl.study import schema
from keras_mtl.study.comparison import BASELINE
from keras_mtl.study.grid import Table, or_none
from keras_mtl.study.layered_toml import laid_over
from keras_mtl.study.signatures import check_keys
from keras_mtl.study.trees import NAME as TREES
from keras_mtl.task import Task, as_tasks

_OF_DATA = ("source", "tasks", "features")
_OVERRIDDEN = ("model", "baseline", "against", "compile", "fit", "selection")
SECTIONS = ("base", "title", "seeds", "data", *_OVERRIDDEN)
SELECTION = ("monitor", "mode", "patience")
AGAINST = "against."
_LABEL = re.compile(r"[A-Za-z0-9_.-]+")


def resolved(sections: Mapping[str, Any], data: str) -> Table:
    """The file's sections as they hold for one data section, its own laid over the general ones."""
    section = sections["data"][data]
    found: Table = {
        name: laid_over(sections.get(name, {}), section.get(name, {}))
        for name in _OVERRIDDEN
        if name in sections or name in section or name != "baseline"
    }
    against = found.pop("against")
    found |= {AGAINST + label: model for label, model in against.items()}
    found["selection"] = {"monitor": "val_loss", **found["selection"]}
    found["source"] = section.get("source", data)
    found["tasks"] = [_as_table(task) for task in section.get("tasks", [])]
    found["features"] = section.get("features", {})
    own = (*_OF_DATA, *_OVERRIDDEN)
    found["data"] = {key: value for key, value in section.items() if key not in own}
    return found


def roles(found: Mapping[str, Any]) -> list[str]:
    """The sections that describe a model: `model`, `baseline`, `against.LABEL`."""
    return [name for name in found if name in ("model", "baseline") or name.startswith(AGAINST)]


def schemas(found: Mapping[str, Any], role: str) -> dict[str, schema.Schema]:
    """What the sections that decide the runs of one model may hold."""
    return {
        "data": schema.data_schema(found["source"]),
        "features": schema.features_schema(),
        role: schema.model_schema(found[role].get("name", "")),
        "compile": schema.compile_schema(),
        "fit": schema.fit_schema(),
    }


def check(study: str, path: Path, sections: Mapping[str, Any], data: str) -> None:
    """Raises `ValueError` for what the study called `study` may not say of one data section."""
    found = resolved(sections, data)
    where = f"data.{data}"
    if not found["tasks"]:
        raise ValueError(f"[{where}] of {path} must have `tasks`. Received: none")
    for task in found["tasks"]:
        schema.schema_of(Task).check(f"{where}.tasks", task)
    as_tasks(Task(**task) for task in found["tasks"])
    accepted = schema.data_schema(found["source"]).known
    check_keys(f"[{where}]", sections["data"][data], {*_OF_DATA, *_OVERRIDDEN, *accepted})
    for role in roles(found):
        if role.startswith(AGAINST):
            _check_against(study, found, role)
        for name, of_section in schemas(found, role).items():
            of_section.check(where if name == "data" else name, found[name])
    check_keys("[selection]", found["selection"], SELECTION)


def _check_against(study: str, found: Mapping[str, Any], role: str) -> None:
    """Raises `ValueError` where tables could not tell a model from another, or there is none."""
    label, baseline = role.removeprefix(AGAINST), found.get("baseline", {})
    taken = (study, baseline.get("name"), BASELINE, TREES)
    if not isinstance(found[role], Mapping) or not _LABEL.fullmatch(label) or label in taken:
        raise ValueError(
            "A section [against.LABEL] must describe a model, under a label of letters, digits, "
            "`_`, `.` and `-` that is not the name of another one of the study, "
            f"`{BASELINE}` or `{TREES}`. Received: [{role}]"
        )


def _as_table(task: Any) -> Table:
    given = {"name": task} if isinstance(task, str) else task
    return {key: or_none(value) for key, value in given.items()}
