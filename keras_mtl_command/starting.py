"""`keras-mtl init`: a study file and its data's loader, which run as they are written."""

import os
import re
from pathlib import Path

from keras_mtl_command import package

_LOADER = "shop_data"


def start_study(study: Path) -> str:
    """Writes the example study and its loader; returns what to do next.

    Raises:
        ValueError: Where one of the two files is there already, or the name does not end in .toml.
    """
    if study.suffix != ".toml":
        raise ValueError(f"A study file must be named NAME.toml. Received: {study}")
    module = re.sub(r"\W", "_", study.stem, flags=re.ASCII) + "_data"
    module = f"_{module}" if module[0].isdigit() else module
    loader = study.with_name(f"{module}.py")
    for path in (study, loader):
        if os.path.lexists(path):  # a link that leads nowhere is there as well
            raise ValueError(f"Nothing is overwritten: {path} must not be there yet.")
    example = package.folder() / "study" / "example"
    study.parent.mkdir(parents=True, exist_ok=True)
    _write(loader, (example / f"{_LOADER}.py").read_text(encoding="utf-8"))
    text = (example / "study.toml").read_text(encoding="utf-8")
    _write(study, text.replace(_LOADER, module))
    return (
        f"Wrote {study}, a study with comments, and {loader}, which loads its data.\n"
        f"Train it, in about a minute:  keras-mtl run {study}\n"
        f"Then put your own rows into {loader.name}: it says how."
    )


def _write(path: Path, text: str) -> None:
    """Writes a new file, and fails where somebody put one or a link meanwhile."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
