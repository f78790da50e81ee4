"""What each section of a study file may hold: the arguments of the function that it ends in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any, Literal

import keras

from keras_mtl import datasets, features
from keras_mtl.checks import check_choice
from keras_mtl.model import MultiTaskModel
from keras_mtl.study.importing import import_name
from keras_mtl.study.keras_objects import KerasObject, class_of, is_object
from keras_mtl.study.signatures import arguments_of, check_keys
from keras_mtl.study.value_types import (
    Hint,
    PositiveInteger,
    described,
    hint_of,
    lists_in,
    or_none,
    takes,
)
from keras_mtl.zoo.registry import get_constructor

# What the study itself passes, or chooses epochs by: a file that set these would contradict it.
_FIT_SUPPLIED = (
    *("self", "x", "y", "validation_data", "validation_split", "initial_epoch"),
    *("sample_weight", "validation_freq"),
)
# Where a signature says nothing of it, or more than a file can hold.
_FIT_TYPES: Mapping[str, Hint] = {
    "batch_size": PositiveInteger,
    "epochs": PositiveInteger,
    "verbose": Literal["auto", 0, 1, 2],
    "callbacks": list[KerasObject],
    "class_weight": Mapping[str, Any],
    "steps_per_epoch": PositiveInteger,
    "validation_steps": PositiveInteger,
    "validation_batch_size": PositiveInteger,
}
_OWN = "package.module:function"
_METRICS = str | list[Any] | Mapping[str, Any] | None
_COMPILE_TYPES: Mapping[str, Hint] = {
    "optimizer": str | KerasObject,
    "loss": str | Mapping[str, Any] | None,
    "loss_weights": float | Mapping[str, float] | None,
    "metrics": _METRICS,
    "weighted_metrics": _METRICS,
    "jit_compile": bool | Literal["auto"],
    "steps_per_execution": PositiveInteger | Literal["auto"],
}
_SELECTION_TYPES: Mapping[str, Hint] = {"monitor": str, "mode": str, "patience": int | None}
# A single marker may stand without its list.
_COLUMN_TYPES: Mapping[str, Hint] = {"missing": str | int | list[Any]}


@dataclass(frozen=True)
class Schema:
    """The arguments a table may hold, those that are lists themselves, and its inner tables.

    Attributes:
        known: keys that the table may have.
        lists: those whose value is a list, so that only a list of lists is a grid.
        children: schemas of inner tables.
        types: what the value of a key may be; a key without one may be anything.
        required: keys that the table must hold.
    """

    known: frozenset[str]
    lists: frozenset[str] = frozenset()
    children: Mapping[str, "Schema"] = field(default_factory=dict)
    types: Mapping[str, Hint] = field(default_factory=dict)
    required: frozenset[str] = frozenset()

    def child(self, key: str, value: Any) -> "Schema | None":
        """The schema of an inner table; of a Keras object, that of its class."""
        if is_object(value):
            # A schedule without `decay_steps` gets the steps of the whole run.
            return schema_of(
                class_of(value["class_name"]), extra=("class_name",), optional=("decay_steps",)
            )
        return self.children.get(key)

    def is_grid(self, key: str, value: Any) -> bool:
        """Whether a value is a list of choices, one variant each."""
        if not isinstance(value, list) or not value or any(isinstance(v, Mapping) for v in value):
            return False
        return key not in self.lists or all(isinstance(item, list) for item in value)

    def check(self, where: str, table: Any) -> None:
        """Raises `ValueError` for what the table may not hold or must, however deep it stands."""
        if not isinstance(table, Mapping):
            raise ValueError(f"[{where}] must be a table. Received: {table!r}")
        check_keys(f"[{where}]", table, self.known)
        for key in sorted(self.required - table.keys()):
            raise ValueError(f"[{where}] must have the key `{key}`. Received: {list(table)}")
        for key, value in table.items():
            for choice in value if self.is_grid(key, value) else [value]:
                self._check_value(where, key, choice)

    def _check_value(self, where: str, key: str, value: Any) -> None:
        hint = self.types.get(key, Any)
        if not takes(hint, or_none(value)):
            raise ValueError(
                f"Key `{key}` in [{where}] must be {described(hint)}. Received: {key}={value!r}"
            )
        for item in value if isinstance(value, list) else [value]:
            inner = self.child(key, item)
            if inner is not None:
                inner.check(f"{where}.{key}", item)


def schema_of(
    target: Callable[..., Any],
    supplied: tuple[str, ...] = (),
    extra: tuple[str, ...] = (),
    children: Mapping[str, Schema] | None = None,
    types: Mapping[str, Hint] | None = None,
    optional: tuple[str, ...] = (),
) -> Schema:
    """Schema from a signature.

    Args:
        target: a function or a class.
        supplied: arguments that the study passes itself.
        extra: keys of the study's own.
        children: schemas of inner tables.
        types: what arguments take of which the signature does not say it.
        optional: arguments that the study passes where the file does not.
    """
    arguments = arguments_of(target)
    accepted: dict[str, Parameter] = {k: v for k, v in arguments.items() if k not in supplied}
    hints = {name: hint_of(argument) for name, argument in accepted.items()} | dict(types or {})
    lists = {k for k, argument in accepted.items() if isinstance(argument.default, list | tuple)}
    needed = {k for k, argument in accepted.items() if argument.default is Parameter.empty}
    children = children or {}
    return Schema(
        known=frozenset({*accepted, *extra, *children}),
        lists=frozenset(lists | {name for name, hint in hints.items() if lists_in(hint)}),
        children=children,
        types={name: hint for name, hint in hints.items() if name in accepted},
        required=frozenset(needed - {*optional}),
    )


def model_schema(name: str) -> Schema:
    """`[model]`, `[baseline]`, `[against.LABEL]`: `name` and arguments of that constructor."""
    return schema_of(get_constructor(name), supplied=("inputs", "tasks"), extra=("name",))


def data_schema(source: str) -> Schema:
    """`[data.NAME]`: the arguments of its load function."""
    return schema_of(load_function(source), supplied=("data_dir",), optional=("seed",))


def features_schema() -> Schema:
    """`[features]`: arguments of the table, and of its columns by kind in inner tables."""
    columns = {
        "category": features.Category,
        "number": features.Numeric,
        "sequence": features.Sequence,
    }
    return schema_of(
        features.TabularFeatures,
        supplied=("columns", "categorical", "numeric", "name"),
        children={
            kind: schema_of(column, supplied=("name",), types=_COLUMN_TYPES)
            for kind, column in columns.items()
        },
    )


def compile_schema() -> Schema:
    """`[compile]`: arguments of `MultiTaskModel.compile`."""
    return schema_of(MultiTaskModel.compile, supplied=("self",), types=_COMPILE_TYPES)


def fit_schema() -> Schema:
    """`[fit]`: arguments of `fit`, without the data."""
    return schema_of(keras.Model.fit, supplied=_FIT_SUPPLIED, types=_FIT_TYPES)


def selection_schema() -> Schema:
    """`[selection]`: which epoch is kept."""
    keys = frozenset(_SELECTION_TYPES)
    return Schema(known=keys, lists=keys, types=_SELECTION_TYPES)  # lists: nothing here is a grid


def load_function(source: str) -> Callable[..., Any]:
    """The function that loads a data set: `load` of one of ours, or `package.module:function`."""
    if ":" not in source:
        own = [name for name in datasets.__all__ if hasattr(getattr(datasets, name), "load")]
        return getattr(datasets, check_choice("source", source, [*own, _OWN])).load
    function = import_name(source)
    if not callable(function):
        raise ValueError(f"Key `source` must name a function. Received: {source!r}, {function!r}")
    return function
