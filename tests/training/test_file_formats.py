"""A file that could not be loaded again is not written."""

from pathlib import Path

import keras
import pytest

from keras_mtl import MultiTaskModel, zoo


@pytest.fixture(params=[False, True], ids=["plain", "compiled"])
def model(request: pytest.FixtureRequest) -> MultiTaskModel:
    made = zoo.shared_bottom(4, ["click"], bottom_units=3, tower_units=2)
    if request.param:
        made.compile("adam")
        made.optimizer.build(made.trainable_variables)  # as training does
    return made


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m.weights.h5"])
def test_legacy_files_are_refused_before_anything_is_written(
    model: MultiTaskModel, name: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"must end in `.keras`.*m\.(weights\.)?h"):
        model.save(tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_the_function_of_keras_refuses_them_too(model: MultiTaskModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in `.keras`"):
        keras.saving.save_model(model, tmp_path / "m.h5")


def test_other_configs_are_given_as_ever(model: MultiTaskModel, tmp_path: Path) -> None:
    assert keras.models.model_from_json(model.to_json()).tasks == model.tasks
    keras.saving.save_model(model, tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras").tasks == model.tasks
    model.save(tmp_path / "folder", zipped=False)
    assert keras.saving.load_model(tmp_path / "folder").tasks == model.tasks
