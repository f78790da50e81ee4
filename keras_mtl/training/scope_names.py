"""Names of models and layers, which TensorFlow takes for scopes of a graph."""

import re

import keras

_ROOT = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_INNER = re.compile(r"[A-Za-z0-9_.\\/>-]*")


def check_scope_names(model: keras.Model) -> None:
    """Raises `ValueError` for a name that no graph of TensorFlow's can hold, as one with a blank.

    Keras raises as well, but at the first step; `train_on_batch` may go where `fit` does not.
    Names of inputs and columns are none of scopes.
    """
    if keras.backend.backend() != "tensorflow":
        return
    if not _ROOT.fullmatch(model.name):
        _refuse("A model's", "start with a letter, a digit or '.', and go on with those,", model)
    for layer in model._flatten_layers(include_self=False):
        is_input = isinstance(layer, keras.layers.InputLayer)
        if not is_input and not _INNER.fullmatch(layer.name):
            _refuse("A layer's", "consist of letters, digits, '.',", layer)


def _refuse(whose: str, words: str, owner: keras.layers.Layer) -> None:
    raise ValueError(
        f"{whose} name must {words} '_' or '-': TensorFlow makes a scope of it. "
        f"Received: name={owner.name!r}"
    )
