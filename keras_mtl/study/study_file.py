"""A study file: read, laid over its base, checked; and the runs that it asks for."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_mtl.checks import check_choice
from keras_mtl.study.grid import Table, variants
from keras_mtl.study.importing import beside
from keras_mtl.study.layered_toml import layers, read_toml
from keras_mtl.study.names import label_of
from keras_mtl.study.refusals import refusals_of, told
from keras_mtl.study.run_settings import RunSettings
from keras_mtl.study.schema import Schema
from keras_mtl.study.sections import AGAINST, check, check_forms, resolved, roles, schemas
from keras_mtl.study.trees import NAME as TREES


@dataclass(frozen=True)
class Study:
    """A checked study file.

    Attributes:
        name: what tables call its model: its key `name`, or else the name of the folder of a
            `study.toml`, or of the file, made a label.
        path: where it was read.
        file: what sentences call it.
        sections: the file laid over its base.
        folders: its folder, then those of the files below it: where its modules are looked for.
    """

    name: str
    path: Path
    file: str
    sections: Mapping[str, Any]
    folders: tuple[str, ...]

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
        name = resolved(self.sections, data).get("baseline", {}).get("name")
        if name in (None, self.name):
            return []
        return list(expand(self, name, "baseline", data, seeds, **given))

    def against_runs(self, data: str, seeds: Sequence[int], **given: Any) -> list[RunSettings]:
        """The runs of every `[against.LABEL]`, which keep their own size."""
        return [
            settings
            for role in roles(resolved(self.sections, data))
            if role.startswith(AGAINST)
            for settings in expand(self, role.removeprefix(AGAINST), role, data, seeds, **given)
        ]


def load_study(path: Path) -> Study:
    """Reads and checks a study file.

    Raises:
        ValueError: without the file, for text that is no TOML, a missing section, an unknown key,
            or a value that its key cannot take.
    """
    sections = read_toml(path)
    files = [file for file, _ in layers(path)]
    with refusals_of(told(files)):
        check_forms(sections)
        folders = dict.fromkeys(str(file.parent.resolve()) for file in files)
        study = Study(_name(path, sections), path, told(files), sections, tuple(folders))
        with beside(study.folders):
            for data in study.data_names:
                check(study.name, sections, data)
    return study


def _name(path: Path, sections: Mapping[str, Any]) -> str:
    place = path.parent.resolve().name if path.name == "study.toml" else path.stem
    name = sections.get("name", label_of(place))
    if name == TREES:
        raise ValueError(f"Key `name` must be given and not be `{TREES}`. Received: {path}")
    return name


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
        role: the section that describes it, `"model"`, `"baseline"` or `"against.LABEL"`.
        data: name of a data section.
        seeds: one run each.
        fit: arguments from the command line; they replace the file's.
        strategy: one of `strategies.STRATEGIES`.
    """
    check_choice("data", data, study.data_names)
    found = resolved(study.sections, data)
    found["fit"] = {**found["fit"], **fit}
    with beside(study.folders):
        known = schemas(found, role)
        of_data = list(_combined(found, known, ("data", "features")))
        of_model = list(_combined(found, known, (role, "compile", "fit")))
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
            folders=study.folders,
            file=study.file,
        )


def _combined(
    found: Mapping[str, Any], known: Mapping[str, Schema], names: Sequence[str]
) -> Iterator[tuple[str, Table]]:
    """Combinations of the variants of several sections."""
    each = [list(variants(found[name], known[name])) for name in names]
    for combination in itertools.product(*each):
        label = " ".join(label for label, _ in combination if label)
        yield label, dict(zip(names, (table for _, table in combination), strict=True))
