"""TOML files laid over one another."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_mtl.study.refusals import refusals_of, told

Table = dict[str, Any]


def read_toml(path: Path) -> Table:
    """The file as a table, laid over the file that its key `base` names."""
    merged: Table = {}
    files = layers(path)
    with refusals_of(told([file for file, _ in files])):
        for _, table in reversed(files):
            merged = laid_over(merged, table)
    return merged


def layers(path: Path) -> list[tuple[Path, Table]]:
    """The file and its table, then those that lie below it, without their key `base`.

    Raises:
        ValueError: For a file that is not there or no TOML, and for a base that is none.
    """
    found: list[tuple[Path, Table]] = []
    below: Path | None = path
    while below is not None:
        table = _table(below)
        base = table.pop("base", None)
        found.append((below, table))
        below = None if base is None else _base(below, base, [file for file, _ in found])
    return found


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """Tables merged key by key, `above` winning; a table of another class replaces all of it."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        tables = isinstance(lower, Mapping) and isinstance(value, Mapping)
        merged[key] = _table_over(lower, value) if tables else value
    return merged


def _table(path: Path) -> Table:
    if not os.path.isfile(path):
        raise ValueError(f"A study file must exist. Received: {path}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors may write a BOM
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or nested without end
        raise ValueError(f"A study file must be TOML. Received: {path} ({error})") from error


def _base(path: Path, base: Any, above: list[Path]) -> Path:
    if not isinstance(base, str):
        raise ValueError(
            f"Key `base` of {path} must be the path of a file below it. Received: base={base!r}"
        )
    below = path.parent / base
    if not os.path.isfile(below):
        raise ValueError(
            f"Key `base` of {path} must be the path of a file that exists. Received: base={base!r}"
        )
    if any(below.samefile(file) for file in above):
        raise ValueError(f"Key `base` of {path} must not come back to a file. Received: {base!r}")
    return below


def _table_over(below: Any, above: Any) -> Table:
    same = above.get("class_name") in (None, below.get("class_name"))
    return laid_over(below, above) if same else above
