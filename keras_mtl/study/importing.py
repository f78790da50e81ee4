"""Modules beside a study file: found there first, whatever the working directory."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from keras_mtl.checks import did_you_mean

_FOLDERS: ContextVar[tuple[str, ...]] = ContextVar("folders of the study", default=())
# The folder that gave a top-level module: two studies may each have a `data.py`.
_OWNERS: dict[str, str] = {}


@contextlib.contextmanager
def beside(folders: Sequence[str]) -> Iterator[None]:
    """Inside, modules are found in `folders`, then in the working directory, then as ever.

    Processes that are started inside find them, too: they inherit `sys.path`, which afterwards is
    as it was before.
    """
    # The last as `python -m` does: a study may name a package of the project it is run in.
    places = (*folders, os.getcwd())
    _forget([name for name, folder in _OWNERS.items() if folder not in places])
    added = [*folders, *([] if {"", os.getcwd()} & {*sys.path} else [os.getcwd()])]
    before = {*sys.modules}
    sys.path[:0] = added
    importlib.invalidate_caches()  # a file may be younger than what Python knows of its folder
    token = _FOLDERS.set(tuple(folders))
    try:
        yield
    finally:
        _FOLDERS.reset(token)
        for folder in added:
            with contextlib.suppress(ValueError):  # what ran inside may have removed it
                sys.path.remove(folder)
        for name in {*sys.modules} - before:
            if (folder := _folder_of(name)) in places:
                _OWNERS[name] = folder


def import_name(name: str) -> Any:
    """The object that `package.module:name` stands for, beside the study file or as ever.

    Raises:
        ValueError: Where there is none, with the nearest name; where a module of that name is
            loaded that is not the one beside the study file.
    """
    module, _, attribute = name.partition(":")
    _find_own(module.partition(".")[0])
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        raise ValueError(
            "A name `package.module:function` must be importable: from the study file's folder, "
            f"from the working directory, or as installed.{_nearest(module, attribute)} "
            f"Received: {name!r} ({error})"
        ) from error


def _forget(packages: Sequence[str]) -> None:
    """Unloads modules that a study's folder gave: the next one may have others of their names."""
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    for name in packages:
        del _OWNERS[name]


def _folder_of(name: str) -> str:
    """Where the file or the folder of a top-level module or package lies; else nothing."""
    module = sys.modules.get(name)
    if "." in name or module is None:
        return ""
    paths = [*(getattr(module, "__path__", None) or []), getattr(module, "__file__", None) or ""]
    return os.path.dirname(paths[0])


def _find_own(package: str) -> None:
    """Makes way for the module beside the study file, where another one of its name is loaded.

    Raises:
        ValueError: where that one is none of a study: Python would silently take it.
    """
    own = PathFinder.find_spec(package, [*_FOLDERS.get()])
    loaded = sys.modules.get(package)
    if loaded is None or own is None or own.origin is None:
        return
    other = getattr(loaded, "__file__", None) or "built into Python"
    if os.path.realpath(other) == os.path.realpath(own.origin):
        return
    if package not in _OWNERS:
        raise ValueError(
            "A module beside a study file must have a name that no loaded module has. "
            f"Received: {own.origin}, but {package!r} is {other}"
        )
    _forget([package])


def _nearest(module: str, attribute: str) -> str:
    """A hint at the function, or else at the file beside the study, that was meant."""
    if (loaded := sys.modules.get(module)) is not None:
        return did_you_mean(attribute, vars(loaded))
    files = [file.stem for folder in _FOLDERS.get() for file in Path(folder).glob("*.py")]
    return did_you_mean(module, files)
