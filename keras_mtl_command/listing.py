"""`keras-mtl list`: systems, data sets, and the study files of this folder.

Systems and data sets are read from the package's files, since importing them imports TensorFlow.
"""

import ast
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

from keras_mtl_command import package
from keras_mtl_command.terminal import one_line

Rows = list[tuple[str, str]]


def list_all() -> str:
    """What can be trained, on what, and which study files are here."""
    tables = [
        _table("system", "what it is", systems()),
        _table("data", "what it is", data_sets()),
    ]
    studies = study_files(Path())
    if studies:
        tables.append(_table("study file", "what it does", studies))
        say = (
            "Train one with `keras-mtl run STUDY.toml`, compare several with "
            "`keras-mtl compare STUDY.toml ...`."
        )
    else:
        say = "No study file here: `keras-mtl init study.toml` writes one that runs."
    return "\n\n".join([*tables, say])


def systems() -> Rows:
    """Names of the constructors and the first lines of their docstrings, sorted."""
    functions = (
        node
        for path in sorted((package.folder() / "zoo").glob("*.py"))
        for node in _parsed(path).body
        if isinstance(node, ast.FunctionDef)
    )
    return sorted((node.name, _first_line(node)) for node in functions if _is_registered(node))


def data_sets() -> Rows:
    """Names of the modules of `datasets` that have a `load`, and their first lines."""
    folder = package.folder() / "datasets"
    paths = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    modules = {path.parent.name if path.stem == "__init__" else path.stem: path for path in paths}
    parsed = {name: _parsed(path) for name, path in modules.items()}
    return sorted((name, _first_line(module)) for name, module in parsed.items() if _loads(module))


def study_files(folder: Path) -> Rows:
    """Study files in a folder and down to two folders below it, and their titles.

    One that is no TOML is listed with what is wrong, if it lies in the folder itself or its name
    says that it is a study.
    """
    found = (path for below in ("", "*/", "*/*/") for path in folder.glob(f"{below}*.toml"))
    paths = sorted(
        {path for path in found if os.path.isfile(path)}
    )  # who reads a pipe waits for ever
    return [(str(path), title) for path in paths if (title := _title(path, folder)) is not None]


def _title(path: Path, folder: Path) -> str | None:
    """The title of a study file, its name without one; None for another file."""
    try:
        layers = [*_layers(path, set())]
    except (OSError, ValueError, RecursionError) as error:
        told = path.name == "study.toml" or path.parent == folder
        return f"cannot be read: {error}" if told else None
    if not all(any(section in table for table in layers) for section in ("model", "data")):
        return None
    name = path.resolve().parent.name if path.name == "study.toml" else path.stem
    return next((str(table["title"]) for table in layers if "title" in table), name)


def _layers(path: Path, above: set[Path]) -> Iterator[dict[str, object]]:
    """The tables of a file and of those below it."""
    place = Path(os.path.realpath(path))
    if place in above:
        raise ValueError(f"{path} comes back to itself")
    if not os.path.isfile(place):
        raise ValueError(f"{path} is no file")
    table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    yield table
    if isinstance(base := table.get("base"), str):
        yield from _layers(path.parent / base, above | {place})


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_registered(node: ast.FunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "register_model" for d in node.decorator_list)


def _loads(module: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "load" for node in module.body)


def _first_line(node: ast.Module | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").split("\n", 1)[0]


def _table(left: str, right: str, rows: Rows) -> str:
    rows = [(one_line(name), one_line(what)) for name, what in rows]
    width = max(len(name) for name, _ in [(left, right), *rows])
    lines = [f"{name:<{width}}  {what}" for name, what in [(left, right), *rows]]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
