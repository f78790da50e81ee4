"""The format of a model's file: the one that brings its tasks back."""

from typing import Any

from keras.src.backend.common import global_state  # Keras tells it nowhere else

LEGACY = (".h5", ".hdf5")


def check_format(filepath: Any) -> None:
    """Raises `ValueError` for a legacy file, which Keras writes and cannot load again."""
    if str(filepath).endswith(LEGACY):
        raise ValueError(
            "Argument `filepath` must end in `.keras`: Keras cannot load this model from a legacy "
            "HDF5 file. Weights alone are saved by `save_weights`, to a file that ends in "
            f"`.weights.h5`. Received: filepath={str(filepath)!r}"
        )


def check_config_format() -> None:
    """Raises `ValueError` where Keras asks for the config of a legacy file, whatever its name."""
    if global_state.get_global_attribute("use_legacy_config"):
        raise ValueError(
            "The model must be saved to a file that ends in `.keras`: Keras cannot load it from a "
            "legacy file. Received: a legacy HDF5 file"
        )
