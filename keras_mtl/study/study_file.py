"""A study file: read, laid over its base, checked; and the runs that it asks for."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_mtl.checks import check_choice
from keras_mtl.study import schema
from keras_mtl.study.grid import Table, variants
from keras_mtl.study.layered_toml import laid_over, read_toml
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.signatures import check_keys
from keras_mtl.task import Task, as_tasks

SECTIONS = ("base", "title", "seeds", "model", "baseline", "data", "compile", "fit", "selection")
SELECTION = ("monitor", "mode", "patience")
_OF_DATA = ("source", "tasks", "features")
_OVERRIDDEN = ("model", "baseline", "compile", "fit", "selection")


@dataclass(frozen=True)
class Study:
    """A checked study file.

    Attributes:
        name: name of the folder of a `study.toml`, else of the file.
        path: where it was read.
        sections: the file laid over its base.
    """

    name: str
    path: Path
    sections: Mapping[str, Any]

    @property
    def data_names(self) -> list[str]:
        """Names of the data sections; the first is the default."""
        return list(self.sections["data"])

    @property
    def title(self) -> str:
        """What the study is, in a line."""
        return self.sections.get("title", self.name)

    def seeds(self) -> list[int]:
        """Seeds of the file, or the seed 0."""
        return [*self.sections.get("seeds", [0])]

    def runs(self, data: str, seeds: Sequence[int], **given: Any) -> list[RunSettings]:
        """The runs of the study's own model, see `expand`."""
        return list(expand(self, self.name, "model", data, seeds, **given))

    def baseline_runs(self, data: str, seeds: Sequence[int], **given: Any) -> list[RunSettings]:
        """The runs of `[baseline]`; none without that section, and none of the baseline itself."""
        name = _resolved(self, data).get("baseline", {}).get("name")
        if name in (None, self.name):
            return []
        return list(expand(self, name, "baseline", data, seeds, **given))


def load_study(path: Path) -> Study:
    """Reads and checks a study file.

    Raises:
        ValueError: without the file, for text that is no TOML, an unknown key, a missing section.
    """
    name = path.parent.resolve().name if path.name == "study.toml" else path.stem
    study = Study(name, path, read_toml(path))
    check_keys(f"{path}", study.sections, SECTIONS)
    for section in ("model", "data"):
        if not study.sections.get(section):
            raise ValueError(
                f"{path} must have a section [{section}]. Received: {[*study.sections]}"
            )
    if not all(type(seed) is int for seed in study.seeds()):
        raise ValueError(f"Key `seeds` must be a list of integers. Received: {study.seeds()}")
    for data in study.data_names:
        _check(study, data)
    return study


def expand(
    study: Study,
    label: str,
    role: str,
    data: str,
    seeds: Sequence[int],
    *,
    fit: Mapping[str, Any],
    strategy: str = "default",
) -> Iterator[RunSettings]:
    """Every run of one model of a study: data grid x seeds x model grid.

    Args:
        study: a checked study.
        label: what tables call the model.
        role: the section that describes it, `"model"` or `"baseline"`.
        data: name of a data section.
        seeds: one run each.
        fit: arguments from the command line; they replace the file's.
        strategy: one of `strategies.STRATEGIES`.
    """
    check_choice("data", data, study.data_names)
    found = _resolved(study, data)
    found["fit"] = {**found["fit"], **fit}
    schemas = _schemas(found, role)
    of_data = list(_combined(found, schemas, ("data", "features")))
    of_model = list(_combined(found, schemas, (role, "compile", "fit")))
    for (data_point, d), seed, (model_point, m) in itertools.product(of_data, seeds, of_model):
        yield RunSettings(
            study=study.name,
            data=" ".join(filter(None, [data, data_point])),
            model=" ".join(filter(None, [label, model_point])),
            seed=seed,
            strategy=strategy,
            source=found["source"],
            data_arguments=d["data"],
            tasks=found["tasks"],
            features=d["features"],
            model_arguments=m[role],
            compile=m["compile"],
            fit=m["fit"],
            selection=found["selection"],
        )


def _combined(
    found: Mapping[str, Any], schemas: Mapping[str, schema.Schema], names: Sequence[str]
) -> Iterator[tuple[str, Table]]:
    """Combinations of the variants of several sections."""
    each = [list(variants(found[name], schemas[name])) for name in names]
    for combination in itertools.product(*each):
        label = " ".join(label for label, _ in combination if label)
        yield label, dict(zip(names, (table for _, table in combination), strict=True))


def _resolved(study: Study, data: str) -> Table:
    """The file's sections as they hold for one data section, its own laid over the general ones."""
    section = study.sections["data"][data]
    resolved: Table = {
        name: laid_over(study.sections.get(name, {}), section.get(name, {}))
        for name in _OVERRIDDEN
        if name in study.sections or name in section or name != "baseline"
    }
    resolved["selection"] = {"monitor": "val_loss", **resolved["selection"]}
    resolved["source"] = section.get("source", data)
    resolved["tasks"] = [_as_table(task) for task in section.get("tasks", [])]
    resolved["features"] = section.get("features", {})
    own = (*_OF_DATA, *_OVERRIDDEN)
    resolved["data"] = {key: value for key, value in section.items() if key not in own}
    return resolved


def _schemas(found: Mapping[str, Any], role: str) -> dict[str, schema.Schema]:
    return {
        "data": schema.data_schema(found["source"]),
        "features": schema.features_schema(),
        role: schema.model_schema(found[role].get("name", "")),
        "compile": schema.compile_schema(),
        "fit": schema.fit_schema(),
    }


def _check(study: Study, data: str) -> None:
    found = _resolved(study, data)
    where = f"data.{data}"
    if not found["tasks"]:
        raise ValueError(f"[{where}] of {study.path} must have `tasks`. Received: none")
    for task in found["tasks"]:
        schema.schema_of(Task).check(f"{where}.tasks", task)
    as_tasks(Task(**task) for task in found["tasks"])
    own = study.sections["data"][data]
    accepted = schema.data_schema(found["source"]).known
    check_keys(f"[{where}]", own, {*_OF_DATA, *_OVERRIDDEN, *accepted})
    for role in ("model", "baseline"):
        if role in found:
            for name, of_section in _schemas(found, role).items():
                of_section.check(where if name == "data" else name, found[name])
    check_keys("[selection]", found["selection"], SELECTION)


def _as_table(task: Any) -> Table:
    return {"name": task} if isinstance(task, str) else dict(task)
