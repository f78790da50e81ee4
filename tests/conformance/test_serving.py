"""Every case exported, and answered by one process that has no Keras."""

import math
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.serving.server import SCRIPT
from tests.conformance import records
from tests.conformance.case import Case
from tests.conformance.over import over, selected
from tests.serving.served import as_sent

SERVE_ALL = Path(__file__).with_name("serve_all.py")
SIZES = (1, 5)


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """By case and signature and number of rows: what was expected, and what the server said."""
    folder = tmp_path_factory.mktemp("exports")
    expected = {}
    for case in selected(request):
        model, home = case.model(0), folder / records.file_name(case.name)
        model.export(home / "1", verbose=False)
        stored = tf.train.list_variables(str(home / "1" / "variables" / "variables"))
        sizes = [math.prod(shape) for name, shape in stored if not name.startswith("_")]
        assert sum(sizes) <= sum(math.prod(weight.shape) for weight in model.weights), (
            "stored twice"
        )
        asked, keys = [], []
        for rows in SIZES:
            packed = case.inputs(rows, 1)
            (name, *_) = (tensor.name for tensor in keras.tree.flatten(model.input))
            inputs = packed if isinstance(packed, dict) else {name: packed}
            raw = inputs if case.raw is None else case.raw(rows, 1)
            predicted = model.predict(packed, verbose=0)
            task = model.tasks[0].name
            for signature, arrays in (("serving_default", raw), ("packed", inputs), (task, raw)):
                asked.append((signature, {key: as_sent(value) for key, value in arrays.items()}))
                keys.append((case.name, "task" if signature == task else signature, rows))
                expected[keys[-1]] = {task: predicted[task]} if signature == task else predicted
        (home / "requests").write_bytes(pickle.dumps(asked))
        (home / "keys").write_bytes(pickle.dumps(keys))
    command = [sys.executable, "-P", str(SERVE_ALL), str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    given = {}
    for home in folder.iterdir():
        keys, found = (pickle.loads((home / part).read_bytes()) for part in ("keys", "answers"))
        given |= dict(zip(keys, found, strict=True))
    return {key: (expected[key], given[key]) for key in expected}


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("signature", ["serving_default", "packed", "task"])
@over("served", slow_options=True)
def test_a_server_without_keras_answers_what_predict_gives(
    case: Case, signature: str, rows: int, answers: dict
) -> None:
    predicted, (outputs, error) = answers[case.name, signature, rows]
    assert error is None, error
    assert predicted.keys() <= outputs.keys()
    for task, values in predicted.items():
        assert outputs[task].dtype == np.float32
        np.testing.assert_allclose(outputs[task], values, atol=1e-6, rtol=1e-6, err_msg=task)
