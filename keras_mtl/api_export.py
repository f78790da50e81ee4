"""One decorator that makes a class public and loadable at once."""

from collections.abc import Callable
from typing import TypeVar

import keras

Exported = TypeVar("Exported")


def keras_mtl_export(cls: type[Exported]) -> type[Exported]:
    """Registers `cls` with Keras under the package `keras_mtl`.

    A class exported this way is found again by `keras.saving.load_model` in a process that has
    imported only `keras_mtl`: no `custom_objects` are needed.
    """
    register: Callable[[type[Exported]], type[Exported]] = keras.saving.register_keras_serializable(
        package="keras_mtl"
    )
    return register(cls)
