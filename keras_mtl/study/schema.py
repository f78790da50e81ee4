"""What each section of a study file may hold: the arguments of the function that it ends in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any

import keras

from keras_mtl import datasets, features
from keras_mtl.checks import check_choice
from keras_mtl.model import MultiTaskModel
from keras_mtl.study.keras_objects import class_of, is_object
from keras_mtl.study.signatures import arguments_of, check_keys, import_name, takes_list
from keras_mtl.zoo.registry import get_constructor

# What the study itself passes: a file that set these would contradict it.
_FIT_SUPPLIED = ("self", "x", "y", "validation_data", "validation_split", "initial_epoch")


@dataclass(frozen=True)
class Schema:
    """The arguments a table may hold, those that are lists themselves, and its inner tables."""

    known: frozenset[str]
    lists: frozenset[str] = frozenset()
    children: Mapping[str, "Schema"] = field(default_factory=dict)

    def child(self, key: str, value: Any) -> "Schema | None":
        """The schema of an inner table; of a Keras object, that of its class."""
        if is_object(value):
            return schema_of(class_of(value["class_name"]), extra=("class_name",))
        return self.children.get(key)

    def check(self, where: str, table: Mapping[str, Any]) -> None:
        """Raises `ValueError` for a key that the table may not hold, however deep it stands."""
        check_keys(f"[{where}]", table, self.known)
        for key, value in table.items():
            for item in value if isinstance(value, list) else [value]:
                inner = self.child(key, item) if isinstance(item, Mapping) else None
                if inner is not None:
                    inner.check(f"{where}.{key}", item)


def schema_of(
    target: Callable[..., Any],
    supplied: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
    children: Mapping[str, Schema] | None = None,
) -> Schema:
    """Schema from a signature, without what the study `supplied`, with `extra` keys of its own."""
    accepted: dict[str, Parameter] = arguments_of(target)
    children = children or {}
    return Schema(
        known=frozenset(accepted) - frozenset(supplied) | frozenset(extra) | frozenset(children),
        lists=frozenset(name for name, argument in accepted.items() if takes_list(argument)),
        children=children,
    )


def model_schema(name: str) -> Schema:
    """`[model]`, `[baseline]`, `[against.LABEL]`: `name` and arguments of that constructor."""
    return schema_of(get_constructor(name), supplied=("inputs", "tasks"), extra=("name",))


def data_schema(source: str) -> Schema:
    """`[data.NAME]`: the arguments of its load function."""
    return schema_of(load_function(source), supplied=("data_dir",))


def features_schema() -> Schema:
    """`[features]`: arguments of the table, and of its columns by kind in inner tables."""
    return schema_of(
        features.TabularFeatures,
        supplied=("columns", "categorical", "numeric", "name"),
        children={
            "category": schema_of(features.Category, supplied=("name",)),
            "number": schema_of(features.Numeric, supplied=("name",)),
            "sequence": schema_of(features.Sequence, supplied=("name",)),
        },
    )


def compile_schema() -> Schema:
    """`[compile]`: arguments of `MultiTaskModel.compile`."""
    return schema_of(MultiTaskModel.compile, supplied=("self",))


def fit_schema() -> Schema:
    """`[fit]`: arguments of `fit`, without the data."""
    return schema_of(keras.Model.fit, supplied=_FIT_SUPPLIED)


def load_function(source: str) -> Callable[..., Any]:
    """The function that loads a data set: `load` of one of ours, or `package.module:function`."""
    if ":" in source:
        return import_name(source)
    return getattr(datasets, check_choice("source", source, datasets.__all__)).load
