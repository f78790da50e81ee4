"""TOML files laid over one another."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Table = dict[str, Any]


def read_toml(path: Path) -> Table:
    """The file as a table, laid over the file that its key `base` names."""
    if not path.is_file():
        raise ValueError(f"A study file must exist. Received: {path}")
    try:
        own = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"A study file must be TOML. Received: {path} ({error})") from error
    base = own.pop("base", None)
    return laid_over(read_toml(path.parent / base), own) if base else own


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """Tables merged key by key, `above` winning; a table of another class replaces all of it."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        tables = isinstance(lower, Mapping) and isinstance(value, Mapping)
        merged[key] = _table_over(lower, value) if tables else value
    return merged


def _table_over(below: Any, above: Any) -> Table:
    same = above.get("class_name") in (None, below.get("class_name"))
    return laid_over(below, above) if same else above
