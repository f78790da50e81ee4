"""Which callbacks look at batches, so that `steps_per_execution="auto"` shows them each one."""

from collections.abc import Callable
from typing import Any

import keras

_BATCHES = {"fit": ("", "train_", "test_"), "evaluate": ("test_",), "predict": ("predict_",)}
# Of Keras' own callbacks, what makes one look at batches where it is an integer.
_FREQUENCIES = ("save_freq", "update_freq")


def watches_batches(callbacks: Any, loop: str) -> bool:
    """Whether one of `callbacks` looks at the batches of `fit`, `evaluate` or `predict`.

    The user's do where they define a hook of batches; of Keras' own, those that save or write after
    a number of batches, and `TerminateOnNaN`. A progress bar does not.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    hooks = [f"on_{kind}batch_{end}" for kind in _BATCHES[loop] for end in ("begin", "end")]
    return any(_watches(callback, hooks) for callback in keras.tree.flatten(callbacks or []))


def _watches(callback: Any, hooks: list[str]) -> bool:
    functions = [getattr(callback, hook) for hook in hooks if hasattr(callback, hook)]
    if any(_is_of_user(function) for function in functions):
        return True
    trains = "on_train_batch_end" in hooks
    by_number = any(_is_number(getattr(callback, name, None)) for name in _FREQUENCIES)
    return trains and (by_number or isinstance(callback, keras.callbacks.TerminateOnNaN))


def _is_of_user(function: Callable[..., Any]) -> bool:
    # Of a wrapped function or an object that is called, the module may be anybody's.
    package = str(getattr(function, "__module__", None)).partition(".")[0]
    return package not in ("keras", "keras_mtl")


def _is_number(value: Any) -> bool:
    # `save_freq=False` is no number of batches.
    return isinstance(value, int) and not isinstance(value, bool)
