"""Which software produced a figure."""

import importlib.metadata
import platform

from keras_mtl.version import __version__


def software_versions() -> dict[str, str]:
    """Versions of everything that can move a figure, for the record of a run."""
    found = {name: importlib.metadata.version(name) for name in ("keras", "tensorflow", "numpy")}
    return {"keras_mtl": __version__, **found, "python": platform.python_version()}
