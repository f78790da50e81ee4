"""Everything that decides the result of one run."""

import dataclasses
import json
from typing import Any

from keras_mtl.study.names import folder_of

Table = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """The resolved settings of one run, as they stand in its folder.

    Attributes:
        study: name of the study that asks for it.
        data: what tables call the data: the section's name and the chosen point of its grid.
        model: what tables call the model, likewise.
        seed: seed of the weights, of the order of rows and of drawn data.
        strategy: one of `strategies.STRATEGIES`.
        source: data set of ours, or `package.module:function`.
        data_arguments: arguments of the load function.
        tasks: arguments of each `Task`.
        features: arguments of `TabularFeatures`.
        model_arguments: `name` of the constructor and its arguments.
        compile: arguments of `compile`.
        fit: arguments of `fit`.
        selection: which epoch is kept: `monitor`, `mode`, `patience`.
        folders: where modules that the file names are looked for first. It says where a study
            lies and not what it is, so it stands in no record.
        file: what sentences call the study file; likewise.
    """

    study: str
    data: str
    model: str
    seed: int
    strategy: str
    source: str
    data_arguments: Table
    tasks: list[Table]
    features: Table
    model_arguments: Table
    compile: Table
    fit: Table
    selection: Table
    folders: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    file: str = dataclasses.field(default="", compare=False)

    def to_dict(self) -> Table:
        """As plain tables, which JSON keeps; without `folders` and `file`."""
        told = dataclasses.asdict(self)
        del told["folders"], told["file"]
        return told

    @property
    def folder_name(self) -> str:
        """Name of the run's folder, unique within a study."""
        return folder_of(f"{self.model} {self.data} seed {self.seed}")

    def data_key(self) -> str:
        """Equal for runs on the same data: what is loaded, encoded, drawn from which seed."""
        parts = [self.source, self.data_arguments, self.features, self.tasks, self.seed]
        return json.dumps(parts, sort_keys=True)
