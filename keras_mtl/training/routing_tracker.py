"""RoutingTracker: how sparse layers used their experts, exact over the epoch."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_mtl.layers.routing_records import RoutingRecord, is_recorded
from keras_mtl.layers.sparse_layer import SparseLayer

# With more experts than this a line of logs holds only the least and the greatest load.
MOST_LOADS = 16


class RoutingTracker(keras.metrics.Metric):
    """For every sparse layer, under `moe/LAYER/`: loads, dropped share, entropy and losses.

    `load_e = choices of expert e / choices`, `dropped = dropped choices / choices`, `entropy` the
    mean over tokens in nats, losses the mean over groups and calls. Sums are added up over batches
    and replicas, so neither changes a figure. Outside of a step, a layer that no token was recorded
    of has NaN.
    """

    def __init__(self, layers: Sequence[SparseLayer]) -> None:
        super().__init__(name="moe")
        self._names = unique_names(layers)
        self._experts = {name: layer.num_experts for name, layer in self._names.items()}
        self._losses = {name: list(layer.loss_weights()) for name, layer in self._names.items()}
        self._sums = {
            name: self.add_variable((self._width(name),), "zeros", name=f"{name}_sums")
            for name in self._names
        }

    def _width(self, name: str) -> int:
        """Loads, losses, and then dropped choices, entropy, tokens and groups."""
        return self._experts[name] + len(self._losses[name]) + 4

    def accumulate(self, records: Sequence[RoutingRecord]) -> None:
        """Adds the calls of one replica's batch."""
        for record in records:
            name = next(name for name, layer in self._names.items() if layer is record.layer)
            losses = [record.losses[loss] for loss in self._losses[name]]
            last = [record.dropped, record.entropy, record.tokens, float(record.groups)]
            scalars = ops.stack([ops.cast(value, "float32") for value in (*losses, *last)])
            self._sums[name].assign_add(ops.concatenate([record.load, scalars]))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: `accumulate` has the records."""

    def result(self) -> dict[str, Any]:
        """All figures of all layers."""
        figures = (figure for name in self._names for figure in self._figures(name))
        return dict(zip(self.result_names(), figures, strict=True))

    def _figures(self, name: str) -> list[Any]:
        sums = ops.convert_to_tensor(self._sums[name])
        experts, losses = self._experts[name], self._losses[name]
        choices = ops.maximum(ops.sum(sums[:experts]), 1.0)
        load = sums[:experts] / choices  # (E,)
        dropped, entropy, tokens, groups = (sums[index] for index in range(-4, 0))
        loads = [load[e] for e in range(experts)]
        figures = [
            *(loads if experts <= MOST_LOADS else [ops.min(load), ops.max(load)]),
            dropped / choices,
            entropy / ops.maximum(tokens, 1.0),
            *(sums[experts + index] / ops.maximum(groups, 1.0) for index in range(len(losses))),
        ]
        if is_recorded():
            return figures
        return [ops.where(tokens > 0, figure, np.nan) for figure in figures]

    def result_names(self) -> list[str]:
        """The keys of `result`, without computing it."""
        names = []
        for name, experts in self._experts.items():
            loads = [f"load_{e}" for e in range(experts)]
            loads = loads if experts <= MOST_LOADS else ["load_min", "load_max"]
            keys = (*loads, "dropped", "entropy", *self._losses[name])
            names += [f"moe/{name}/{key}" for key in keys]
        return names


def unique_names(layers: Sequence[SparseLayer]) -> dict[str, SparseLayer]:
    """Layers by name; of one name in several nested models, the later ones get a number."""
    named: dict[str, SparseLayer] = {}
    for layer in layers:
        numbered = (f"{layer.name}_{number}" for number in itertools.count(1))
        free = (name for name in itertools.chain([layer.name], numbered) if name not in named)
        named[next(free)] = layer
    return named


def routing_tracker(model: keras.Model) -> RoutingTracker | None:
    """The tracker of a model's sparse layers, however deep they stand; None without any."""
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, SparseLayer)
    ]
    return RoutingTracker(layers) if layers else None
