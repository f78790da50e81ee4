"""Files of weights that tell neither tasks nor tables, as they were at first, still load."""

import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from tests.conformance import records
from tests.conformance.figures import named
from tests.conformance.over import held_to

FOLDER = records.GOLDENS.parent / "before_names"
CASES = {records.file_name(case.name): case for case in held_to("golden")}
FILES = sorted(path.stem for path in FOLDER.glob("*.keras"))


def test_one_layer_a_model_and_a_table_are_kept() -> None:
    assert FILES == ["Task", "features.Category", "layers.TaskDense"]


@pytest.mark.parametrize("name", FILES)
def test_weights_without_names_load_into_a_model_made_anew(name: str) -> None:
    model = CASES[name].model(5)
    before = predictions(model, name)
    model.load_weights(FOLDER / f"{name}.keras")
    expected = kept(name)
    assert any(not np.allclose(before[key], value, atol=1e-3) for key, value in expected.items())
    for key, value in expected.items():
        np.testing.assert_allclose(predictions(model, name)[key], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_whole_models_without_names_load(name: str) -> None:
    model = keras.saving.load_model(FOLDER / f"{name}.keras", compile=False)
    for key, value in kept(name).items():
        np.testing.assert_allclose(predictions(model, name)[key], value, rtol=1e-5, atol=1e-5)


def test_the_files_have_no_names(tmp_path: Path) -> None:
    """Else they would show nothing."""
    for name in FILES:
        with zipfile.ZipFile(FOLDER / f"{name}.keras") as archive:
            archive.extract("model.weights.h5", tmp_path)
        with h5py.File(tmp_path / "model.weights.h5") as file:
            assert "names" not in file.get("vars", ())


def kept(name: str) -> dict[str, np.ndarray]:
    figures = records.read(FOLDER, name)[2]
    return {key: value for key, value in figures.items() if key.startswith("prediction:")}


def predictions(model: MultiTaskModel, name: str) -> dict[str, np.ndarray]:
    inputs = records.read(FOLDER, name)[0]
    return named("prediction", model.predict_on_batch(inputs))
