"""Where the package `keras_mtl` lies and which version it is, without importing it."""

import runpy
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def folder() -> Path:
    """The folder of the package that `import keras_mtl` would load."""
    spec = find_spec("keras_mtl")
    if spec is None or spec.origin is None:
        raise ImportError("The package `keras_mtl` must be installed beside its command.")
    return Path(spec.origin).parent


def version() -> str:
    """Its version."""
    return runpy.run_path(str(folder() / "version.py"))["__version__"]
