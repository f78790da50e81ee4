"""States of the random draws of dropout and noise: training that is resumed goes on with them."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
from keras import ops

_KEY = "seeds"


def keep(model: keras.Model, store: MutableMapping[str, Any]) -> None:
    """Puts the states of all seed generators into a store of weights; Keras leaves them out."""
    states = _states(model)
    if states:
        store[_KEY] = ops.convert_to_numpy(ops.stack([state.value for state in states]))  # (N, 2)


def restore(model: keras.Model, store: Mapping[str, Any]) -> dict[str, Any]:
    """Takes the states from a store, where they fit the model; returns what else is in it."""
    rest = {key: store[key] for key in store.keys()}  # noqa: SIM118 (Keras' store has no __iter__)
    kept, states = rest.pop(_KEY, ()), _states(model)
    # A model with other dropout may still take the weights.
    if len(kept) == len(states):
        for state, value in zip(states, kept, strict=True):
            state.assign(value)
    return rest


def _states(model: keras.Model) -> list[Any]:
    return [v for v in model.non_trainable_variables if v.name == "seed_generator_state"]
