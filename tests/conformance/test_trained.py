"""Weights that something can train: every number of every weight has a gradient."""

import keras
import numpy as np

from tests.conformance.case import Case, fresh
from tests.conformance.cases.layers import LayerCase
from tests.conformance.figures import Arrays
from tests.conformance.over import over

BATCHES, ROWS = 20, 64
LEAST = 1e-4
"""Of the largest gradient of its weight, and of the model: rounding of zero leaves a hundredth."""
STEP = 1e3  # rounding of the weights themselves is then far below a step


@over("trained", slow_options=True, quick=("layers", "zoo"))
def test_every_number_of_a_weight_has_a_gradient(case: Case) -> None:
    found = largest_gradients(case, case.model(0))
    overall = max((largest.max() for largest in found.values()), default=0.0)
    for path, largest in found.items():
        assert largest.max() > LEAST * overall, path
        untrained = np.mean(largest <= LEAST * largest.max())
        assert untrained == 0, f"{untrained:.0%} of {path}, of shape {largest.shape}"


def largest_gradients(case: Case, model: keras.Model) -> Arrays:
    """The largest gradient of each number over all batches, by the path of its weight."""
    for weight in model.trainable_variables:
        weight.regularizer = None  # a penalty would move also what has no part in a prediction
    model.compile(keras.optimizers.SGD(STEP), jit_compile=False, **fresh(case.compiled))
    generator = np.random.default_rng(0)
    held = examined(case, model)
    largest = {weight.path: np.zeros(weight.shape) for weight in held}
    for batch in range(BATCHES):
        draw_anew(model, generator)
        before = {weight.path: np.array(weight) for weight in held}
        model.train_on_batch(case.inputs(ROWS, batch), case.labels(ROWS, batch))
        for weight in held:
            gradient = np.abs(np.array(weight) - before[weight.path]) / STEP
            largest[weight.path] = np.maximum(largest[weight.path], gradient)
    return largest


def examined(case: Case, model: keras.Model) -> list[keras.Variable]:
    """The weights of what the case is about: of a layer not those of the heads behind it."""
    if not isinstance(case, LayerCase):
        return model.trainable_weights
    layers = [layer for layer in model.layers if isinstance(layer, case.target)]
    return [weight for layer in layers for weight in layer.trainable_weights]


def draw_anew(model: keras.Model, generator: np.random.Generator) -> None:
    """Other weights for each batch, since a unit of ReLU may be dead with those of one draw."""
    for weight in model.trainable_weights:
        weight.assign(generator.normal(scale=0.5, size=weight.shape))
