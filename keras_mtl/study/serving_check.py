"""Whether an export, loaded as a server loads it, predicts what the saved model predicts."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

SCRIPT = Path(__file__).with_name("serve_once.py")
TOLERANCE = 1e-4


def largest_difference(model: Path, export: Path, raw: dict[str, np.ndarray], packed: Any) -> float:
    """Largest difference between served and Keras' predictions of the same rows.

    Args:
        model: a `.keras` file.
        export: a SavedModel of the same model.
        raw: rows as a client sends them, by column.
        packed: the same rows as the model takes them.

    Raises:
        RuntimeError: if the server process fails, or answers something other than the model's
            tasks.
    """
    expected = keras.saving.load_model(model).predict(packed, verbose=0)
    served = answer(export, raw)
    if missing := expected.keys() - served.keys():
        raise RuntimeError(f"The export must serve every task. Missing: {sorted(missing)}")
    differences = [np.max(np.abs(served[task] - expected[task])) for task in expected]
    return float(max(differences))


def answer(export: Path, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of `serving_default`, from a fresh process without Keras."""
    with tempfile.TemporaryDirectory() as folder:
        request, reply = Path(folder) / "request.npz", Path(folder) / "answer.npz"
        sent: dict[str, Any] = {name: _as_sent(array) for name, array in raw.items()}
        np.savez(request, **sent)
        # -P keeps the script's folder, whose module names are ours, off the import path.
        command = [sys.executable, "-P", str(SCRIPT), str(export), str(request), str(reply)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"The export could not be served.\n{done.stderr[-2000:]}")
        with np.load(reply) as file:
            return {name: file[name] for name in file.files}


def _as_sent(array: np.ndarray) -> np.ndarray:
    """Strings as bytes, which an archive holds without pickling; numbers stay."""
    if array.dtype.kind not in "OU":
        return array
    return np.array([item if isinstance(item, bytes) else _text(item).encode() for item in array])


def _text(item: Any) -> str:
    """A missing value is sent as the empty string."""
    return "" if item is None or item != item else str(item)
