"""Small models of every constructor, and the data that tests feed them."""

from typing import Any

import keras
import numpy as np

from keras_mtl import MultiTaskModel, zoo

TRUNKS: dict[str, dict[str, Any]] = {
    "single_task": {"hidden_units": (6,)},
    "shared_bottom": {"bottom_units": (6,)},
    "mmoe": {"num_experts": 3, "expert_units": (6,)},
    "one_gate": {"num_experts": 3, "expert_units": (6,), "one_gate": True},
    "cgc": {"shared_experts": 1, "task_experts": 2, "expert_units": (6,)},
    "ple": {"levels": 2, "shared_experts": 1, "task_experts": 2, "expert_units": (6,)},
}


def build(case: str, inputs: Any, tasks: Any, **arguments: Any) -> MultiTaskModel:
    """The small model called `case`, with towers of 4 and a seed unless told otherwise."""
    constructor = zoo.mmoe if case == "one_gate" else zoo.get_constructor(case)
    return constructor(inputs, tasks, **{"tower_units": 4, "seed": 1, **TRUNKS[case], **arguments})


def rows(num_rows: int = 12, width: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num_rows, width)).astype("float32")


def binary_labels(x: np.ndarray, names: str = "ab") -> dict[str, np.ndarray]:
    """A label a task, each from a column of its own."""
    return {name: (x[:, column] > 0).astype("int32") for column, name in enumerate(names)}


def predictions(model: keras.Model, inputs: Any, **arguments: Any) -> dict[str, np.ndarray]:
    outputs = model(inputs, **arguments)
    return {name: keras.ops.convert_to_numpy(output) for name, output in outputs.items()}


def train(model: MultiTaskModel, x: Any, y: Any, steps: int = 1, metrics: Any = ()) -> Any:
    """Full-batch steps of plain gradient descent; returns the history."""
    metrics = metrics if metrics is None else list(metrics)
    model.compile(keras.optimizers.SGD(0.5), metrics=metrics, run_eagerly=True)
    num_rows = len(next(iter(y.values()))) if isinstance(y, dict) else len(y)
    return model.fit(x, y, epochs=steps, batch_size=num_rows, shuffle=False, verbose=0)


def values(model: keras.Model) -> dict[str, np.ndarray]:
    """Weights by path."""
    return {weight.path: keras.ops.convert_to_numpy(weight.value) for weight in model.weights}
