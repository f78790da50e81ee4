"""Whether an export, loaded as a server loads it, predicts what the saved model predicts."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.serving import server
from keras_mtl.serving.arrays import as_array
from keras_mtl.serving.export_folder import read_graph, read_signatures

TOLERANCE = 1e-4


def largest_difference(model: Path, export: Path, raw: dict[str, np.ndarray], packed: Any) -> float:
    """Largest difference between served and Keras' predictions of the same rows.

    Args:
        model: a `.keras` file.
        export: a SavedModel of the same model.
        raw: rows as a client sends them, by column.
        packed: the same rows as the model takes them.

    Raises:
        ValueError: if the export does not load.
        RuntimeError: if it fails on the rows, or answers something other than the model's tasks,
            (B, U) or (B, S, U).
    """
    expected = keras.saving.load_model(model).predict(packed, verbose=0)
    served = answer(export, raw)
    if missing := expected.keys() - served.keys():
        raise RuntimeError(f"The export must serve every task. Missing: {sorted(missing)}")
    for task, values in expected.items():
        if served[task].shape != values.shape:
            raise RuntimeError(
                f"The export must serve task {task!r} in the shape of the model's predictions, "
                f"{values.shape}. Received: {served[task].shape}"
            )
    differences = [np.max(np.abs(served[task] - expected[task])) for task in expected]
    return float(max(differences))


def answer(export: Path, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of `serving_default`, from a fresh process without Keras."""
    specs = read_signatures(read_graph(export))["serving_default"].inputs
    arrays = {name: as_array(name, raw[name], spec) for name, spec in specs.items()}
    (answered,) = server.answer(export, [server.Request("serving_default", arrays)])
    if answered.error:
        raise RuntimeError(f"The export could not answer.\n{answered.error}")
    return answered.outputs
