"""Which models Keras can quantize: those whose weights lie in Keras' own layers."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def check_quantizable(model: Any, mode: Any) -> None:
    """Raises `ValueError` where layers of this package hold weights: Keras would pass them over."""
    own = {
        type(layer).__name__
        for layer in model._flatten_layers(include_self=False)
        if type(layer).__module__.startswith("keras_mtl.") and layer.weights
    }
    if own:
        raise ValueError(
            "A model must hold its weights in Keras' own layers to be quantized: Keras has a form "
            "in low precision of Dense, EinsumDense and Embedding alone. For models of the zoo, "
            '`keras.config.set_dtype_policy("mixed_bfloat16")` halves what is computed with. '
            f"Received: mode={mode!r}, layers without such a form: {', '.join(sorted(own))}"
        )


@contextmanager
def quiet_without_weights(model: Any) -> Iterator[None]:
    """Keeps Keras from warning of layers that have nothing to quantize, such as inputs."""
    names = {
        type(layer).__name__
        for layer in model._flatten_layers(include_self=False)
        if not layer.weights
    }
    with warnings.catch_warnings():
        for name in names:
            warnings.filterwarnings("ignore", f"Layer {re.escape(name)} does not have a `quantize`")
        yield
