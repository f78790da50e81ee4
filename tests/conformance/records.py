"""A model's file, and beside it what the model computes: to be compared wherever it is loaded.

    python -m tests.conformance.records

writes the golden files of this version for the cases that have none; from release 0.1.0 on, files
are never rewritten.
"""

import re
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.conformance.figures import Arrays, shown, trained

GOLDENS = Path(__file__).parent / "goldens"
ROWS = 16


def write(folder: Path, name: str, model: keras.Model, x: Any, y: Arrays) -> None:
    """Writes a compiled model after an epoch, with its rows, its figures and those after another.

    What follows the second epoch tells whether the optimizer's state was kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trained(model, x, y)
    model.save(folder / f"{name}.keras")
    inputs = x if isinstance(x, dict) else {"": x}
    arrays = {f"input:{key}": value for key, value in inputs.items()}
    arrays |= {f"label:{key}": value for key, value in y.items()}
    arrays |= shown(model, x, y)
    arrays |= {f"after:{key}": value for key, value in trained(model, x, y).items()}
    np.savez_compressed(folder / f"{name}.npz", **arrays)


def read(folder: Path, name: str) -> tuple[Any, Arrays, Arrays, Arrays]:
    """Inputs, labels, figures, and figures after another epoch."""
    with np.load(folder / f"{name}.npz") as stored:
        arrays = dict(stored)

    def part(prefix: str) -> Arrays:
        found = [key for key in arrays if key.startswith(prefix)]
        return {key.removeprefix(prefix): arrays.pop(key) for key in found}

    inputs, labels, after = part("input:"), part("label:"), part("after:")
    return inputs.get("", inputs), labels, arrays, after


def file_name(case_name: str) -> str:
    """A case's name as that of a file."""
    return re.sub(r"[^\w.]", "_", case_name)


def write_goldens() -> None:
    """Writes the golden files that are missing."""
    from keras_mtl import __version__
    from tests.conformance.over import held_to

    kept = {path.stem for path in GOLDENS.rglob("*.keras")}
    for case in held_to("golden"):
        name = file_name(case.name)
        if name not in kept:
            model = case.compile(case.model(0), run_eagerly=True)
            write(GOLDENS / __version__, name, model, case.inputs(ROWS, 1), case.labels(ROWS, 1))
            print(f"{__version__}/{name}.keras", file=sys.stderr)


if __name__ == "__main__":
    write_goldens()
