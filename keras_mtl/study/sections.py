"""The sections of a study file: as they hold for one data section, and what they may hold."""

import datetime
from collections.abc import Mapping
from typing import Any

from keras_mtl import features
from keras_mtl.study import schema
from keras_mtl.study.comparison import BASELINE
from keras_mtl.study.grid import Table, variants
from keras_mtl.study.layered_toml import laid_over
from keras_mtl.study.names import LABEL, is_label, shown
from keras_mtl.study.selection import BestEpoch
from keras_mtl.study.signatures import check_keys
from keras_mtl.study.trees import NAME as TREES
from keras_mtl.study.value_types import or_none
from keras_mtl.task import Task, as_tasks

_OF_DATA = ("source", "tasks", "features")
_OVERRIDDEN = ("model", "baseline", "against", "compile", "fit", "selection")
SECTIONS = ("base", "name", "title", "seeds", "data", *_OVERRIDDEN)
AGAINST = "against."
_FILE = "a study file"
# NumPy, which Keras seeds as well, takes no more.
_SEEDS = 2**32


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
    selection = {key: or_none(value) for key, value in found["selection"].items()}
    found["selection"] = {"monitor": "val_loss", **selection}
    found["source"] = section.get("source", data)
    tasks = section.get("tasks", [])
    found["tasks"] = [_as_table(task) for task in ([tasks] if isinstance(tasks, str) else tasks)]
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


def check_forms(sections: Mapping[str, Any]) -> None:
    """Raises `ValueError` where a section of the file is none, or a key stands for another kind."""
    check_keys(_FILE, sections, SECTIONS)
    for section in ("model", "data"):
        if not sections.get(section):
            raise ValueError(f"A study must have a section [{section}]. Received: {[*sections]}")
    _check_dates(_FILE, sections)
    title = sections.get("title", "")
    if not isinstance(title, str) or not title.isprintable():
        raise ValueError(f"Key `title` must be a string of one line. Received: title={title!r}")
    name = sections.get("name", "study")
    if not is_label(name) or name == TREES:
        raise ValueError(
            f"Key `name` must be a {LABEL}, and not `{TREES}`. Received: name={name!r}"
        )
    _check_seeds(sections.get("seeds", [0]))
    for name in ("data", *_OVERRIDDEN):
        _check_table(name, sections.get(name, {}))
    for name, section in sections["data"].items():
        where = f"data.{name}"
        _check_table(where, section)
        if not is_label(name):
            raise ValueError(
                f"A section [data.NAME] names a folder by a {LABEL}. Received: [data.{shown(name)}]"
            )
        _check_data_forms(where, section)


def check(study: str, sections: Mapping[str, Any], data: str) -> None:
    """Raises `ValueError` for what the study called `study` may not say of one data section."""
    found = resolved(sections, data)
    where = f"data.{data}"
    _check_tasks(where, found["tasks"])
    accepted = schema.data_schema(found["source"]).known
    check_keys(f"[{where}]", sections["data"][data], {*_OF_DATA, *_OVERRIDDEN, *accepted})
    for role in roles(found):
        if role.startswith(AGAINST):
            _check_against(study, found, role)
        for name, of_section in schemas(found, role).items():
            of_section.check(where if name == "data" else name, found[name])
    _check_columns(found["features"])
    schema.selection_schema().check("selection", found["selection"])
    BestEpoch(**found["selection"])


def _check_dates(where: str, value: Any) -> None:
    """Raises `ValueError` for a date or a time, which no argument takes and no record keeps."""
    named = value if isinstance(value, Mapping) else {}
    listed = value if isinstance(value, list) else []
    for key, item in [*named.items(), *enumerate(listed)]:
        if isinstance(item, datetime.date | datetime.time):
            raise ValueError(
                f"Key `{key}` in {where} must be a string where it is a date or a time. "
                f"Received: {item}"
            )
        _check_dates(f"[{key}]" if isinstance(key, str) else where, item)


def _check_table(where: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"`{where}` must be a section, [{where}]. Received: {where} = {value!r}")


def _check_seeds(seeds: Any) -> None:
    listed = isinstance(seeds, list) and all(
        type(seed) is int and 0 <= seed < _SEEDS for seed in seeds
    )
    if not listed or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            "Key `seeds` must be a list of integers of at least 0 and below 2**32, each once. "
            f"Received: seeds={seeds!r}"
        )


def _check_data_forms(where: str, section: Mapping[str, Any]) -> None:
    for name in ("features", *_OVERRIDDEN):
        _check_table(f"{where}.{name}", section.get(name, {}))
    if not isinstance(section.get("source", ""), str):
        raise ValueError(
            f"Key `source` in [{where}] must be a string. Received: source={section['source']!r}"
        )
    tasks = section.get("tasks", [])
    if not isinstance(tasks, str | list) or not all(isinstance(t, str | Mapping) for t in tasks):
        raise ValueError(
            f"Key `tasks` in [{where}] must be a list of names and tables. "
            f"Received: tasks={tasks!r}"
        )


def _check_tasks(where: str, tasks: list[Table]) -> None:
    if not tasks:
        raise ValueError(f"[{where}] must have `tasks`. Received: none")
    for task in tasks:
        schema.schema_of(Task).check(f"{where}.tasks", task)
    # Keras' metrics are variables, which nothing may make before a strategy does.
    objects = ("loss", "metrics")
    as_tasks([Task(**{k: v for k, v in task.items() if k not in objects}) for task in tasks])


def _check_columns(table: Mapping[str, Any]) -> None:
    """Raises `ValueError` for options of columns that no column may have."""
    for _, options in variants(table, schema.features_schema()):
        of_kind = {kind: options.pop(kind, {}) for kind in ("category", "number", "sequence")}
        features.TabularFeatures(
            [
                features.Category("category", **of_kind["category"]),
                features.Numeric("number", **of_kind["number"]),
                features.Sequence("sequence", **of_kind["sequence"]),
            ],
            **options,
        )


def _check_against(study: str, found: Mapping[str, Any], role: str) -> None:
    """Raises `ValueError` where tables could not tell a model from another, or there is none."""
    label, baseline = role.removeprefix(AGAINST), found.get("baseline", {})
    taken = (study, baseline.get("name"), BASELINE, TREES)
    if not isinstance(found[role], Mapping) or not is_label(label) or label in taken:
        raise ValueError(
            f"A section [against.LABEL] must describe a model, under a {LABEL}, that is not "
            f"the name of another one of the study, `{BASELINE}` or `{TREES}`. "
            f"Received: [{AGAINST}{shown(label)}]"
        )


def _as_table(task: Any) -> Table:
    given = {"name": task} if isinstance(task, str) else task
    return {key: or_none(value) for key, value in given.items()}
