"""What a model computes, as arrays by name, to be compared with the same of another."""

from typing import Any

import keras
import numpy as np

Arrays = dict[str, np.ndarray]


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


def assert_same(
    found: Arrays, expected: Arrays, tolerance: float = 1e-5, auc_tolerance: float = 0.0
) -> None:
    """The same names, finite values, and equal but for rounding, which AUC may be given more of."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.isfinite(value).all(), name
        near = max(tolerance, auc_tolerance) if name.endswith("auc") else tolerance
        np.testing.assert_allclose(found[name], value, rtol=near, atol=near, err_msg=name)
