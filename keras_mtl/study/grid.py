"""Grids: a list where a value could stand means one variant for each of its values."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from keras_mtl.study.schema import Schema
from keras_mtl.study.value_types import or_none

Table = dict[str, Any]


def variants(table: Mapping[str, Any], schema: Schema) -> Iterator[tuple[str, Table]]:
    """Every combination of the lists in a table, with a label that says what was chosen.

    A list is a grid. Where the argument is a list itself (`expert_units = [64, 32]`), only a list
    of lists is a grid (`expert_units = [[64, 32], [128]]`). Lists of tables (callbacks, tasks)
    are never grids. The word "none" becomes None.

    Example:
        >>> schema = Schema(known=frozenset({"levels", "units"}), lists=frozenset({"units"}))
        >>> for label, table in variants({"levels": [1, 2], "units": [8]}, schema):
        ...     print(label, table)
        levels=1 {'levels': 1, 'units': [8]}
        levels=2 {'levels': 2, 'units': [8]}
    """
    choices = [list(_choices(key, value, schema)) for key, value in table.items()]
    for combination in itertools.product(*choices):
        label = " ".join(label for label, _ in combination if label)
        yield label, dict(zip(table, (value for _, value in combination), strict=True))


def _choices(key: str, value: Any, schema: Schema) -> Iterator[tuple[str, Any]]:
    if schema.is_grid(key, value):
        for item in value:
            yield f"{key}={_short(item)}", or_none(item)
    elif isinstance(value, Mapping) and (inner := schema.child(key, value)) is not None:
        yield from variants(value, inner)
    else:
        yield "", or_none(value)


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)
