"""What a model computes, as arrays by name, to be compared with the same of another."""

from typing import Any

import keras
import numpy as np

Arrays = dict[str, np.ndarray]
AUC_TOLERANCE = 1e-4


def trained(model: keras.Model, x: Any, y: Arrays, **options: Any) -> Arrays:
    """Logs of `fit`, and every weight after it."""
    history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0, **options).history
    return named("log", history) | weights(model)


def shown(model: keras.Model, x: Any, y: Arrays) -> Arrays:
    """What `evaluate` and `predict` give."""
    figures = model.evaluate(x, y, batch_size=8, return_dict=True, verbose=0)
    return named("figure", figures) | named("prediction", model.predict(x, verbose=0))


def weights(model: keras.Model) -> Arrays:
    """Every weight, in the order of the model: names may differ from process to process."""
    values = [keras.ops.convert_to_numpy(weight.value) for weight in model.weights]
    return named("weight", {str(index): value for index, value in enumerate(values)})


def named(part: str, values: dict[str, Any]) -> Arrays:
    return {f"{part}:{name}": np.asarray(value, "float32") for name, value in values.items()}


def assert_same(found: Arrays, expected: Arrays, tolerance: float = 1e-5) -> None:
    """The same names, finite values, and equal but for rounding."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.isfinite(value).all(), name
        # AUC places scores in bins: their rounding moves it further than it moves a mean.
        near = max(tolerance, AUC_TOLERANCE) if tolerance and name.endswith("auc") else tolerance
        np.testing.assert_allclose(found[name], value, rtol=near, atol=near, err_msg=name)
