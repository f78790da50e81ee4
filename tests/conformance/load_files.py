"""Loads every model of a folder and says what it computes; run as a script, in a fresh process.

python load_files.py FOLDER ANSWERS
"""

import sys
from pathlib import Path


def main(folder: str, answers: str) -> None:
    import keras
    import numpy as np

    import keras_mtl  # noqa: F401  a user's process imports nothing else
    from tests.conformance import records
    from tests.conformance.figures import shown, trained

    for path in sorted(Path(folder).glob("*.keras")):
        x, y, _, _ = records.read(path.parent, path.stem)
        model = keras.saving.load_model(path)
        figures = shown(model, x, y)
        after = trained(model, x, y)
        found = figures | {f"after:{name}": value for name, value in after.items()}
        np.savez(Path(answers) / f"{path.stem}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
