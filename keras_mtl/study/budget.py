"""Equal budgets: widths scaled until a model has as many parameters as another."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras

from keras_mtl.checks import check_units
from keras_mtl.study.keras_objects import make
from keras_mtl.study.signatures import arguments_of
from keras_mtl.task import Task
from keras_mtl.zoo.registry import create, get_constructor

# Towers and gates are the same in every system, as in the MMoE paper (section 5.1): what is
# compared is how tasks share what lies below them.
_KEPT = ("tower_units", "gate_units")


def count_parameters(arguments: Mapping[str, Any], tasks: list[Task], width: int) -> int:
    """Trainable parameters of a model above its embeddings.

    Embedding tables are the same for every system on a data set and can be many times larger than
    what is compared, so they stand outside the budget: the model is built on a plain input of the
    same width.

    Args:
        arguments: `name` of a constructor and its arguments.
        tasks: what the model predicts.
        width: width of the vector that the experts read.
    """
    rest = make({key: value for key, value in arguments.items() if key != "name"}, {})
    return trainable_count(create(arguments["name"], width, tasks, **rest))


def trainable_count(model: keras.Model) -> int:
    """Numbers that training may change."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def match_budget(
    arguments: Mapping[str, Any], tasks: list[Task], width: int, budget: int
) -> dict[str, Any]:
    """Arguments with the widths of experts and trunks scaled to the nearest parameter count.

    One factor scales every `*_units` argument but those of towers and gates. The count grows with
    the factor, so bisection finds it. A model that has the budget stays as it is.

    Raises:
        ValueError: where even one unit a layer is more than twice the budget.
    """
    if count_parameters(arguments, tasks, width) == budget:
        return dict(arguments)
    scaled = _scaled_arguments(arguments)

    @functools.cache
    def size(factor: float) -> int:
        return count_parameters(_times(arguments, scaled, factor), tasks, width)

    low, high = 0.0, 1.0
    while size(high) < budget:
        low, high = high, 2 * high
    finest = 1 / (4 * max(unit for units in scaled.values() for unit in units))
    while high - low > finest:
        middle = (low + high) / 2
        low, high = (middle, high) if size(middle) < budget else (low, middle)
    nearest = min((low, high), key=lambda factor: abs(size(factor) - budget))
    if size(nearest) > 2 * budget:
        raise ValueError(
            "A budget must be within reach of the model's smallest widths. "
            f"Received: budget={budget}, model={arguments['name']!r}, smallest={size(nearest)}"
        )
    return _times(arguments, scaled, nearest)


def _scaled_arguments(arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Widths that the budget decides, given or default."""
    accepted = arguments_of(get_constructor(arguments["name"]))
    names = [name for name in accepted if name.endswith("_units") and name not in _KEPT]
    if not names:
        raise ValueError(
            "A budget can be set where a constructor has widths of experts or trunks. "
            f"Received: {arguments['name']!r}, which has none"
        )
    return {name: check_units(name, arguments.get(name, accepted[name].default)) for name in names}


def _times(
    arguments: Mapping[str, Any], scaled: Mapping[str, tuple[int, ...]], factor: float
) -> dict[str, Any]:
    widths = {
        name: [max(1, round(factor * unit)) for unit in units] for name, units in scaled.items()
    }
    return {**arguments, **widths}
