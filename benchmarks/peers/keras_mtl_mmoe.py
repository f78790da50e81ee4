"""Ours: `zoo.mmoe` on a table, compiled with the options of the contender."""

import math
from typing import Any

import keras

from benchmarks.workload import Contender, Workload
from keras_mtl import zoo


class KerasMtl:
    """A compiled model and its packed rows."""

    def __init__(self, work: Workload, **compile_options: Any) -> None:
        sizes = work.sizes
        self._work = work
        self._model = zoo.mmoe(
            keras.saving.deserialize_keras_object(work.table),
            list(work.labels),
            num_experts=sizes.num_experts,
            expert_units=sizes.expert_units,
            tower_units=sizes.tower_units,
            seed=sizes.seed,
        )
        self._model.compile("adam", **compile_options)
        self.parameters = sum(math.prod(weight.shape) for weight in self._model.trainable_weights)

    def train(self, rows: int) -> None:
        """Fits once on the first rows."""
        work = self._work
        packed = {"categorical": work.categorical[:rows], "numeric": work.numeric[:rows]}
        labels = {task: values[:rows] for task, values in work.labels.items()}
        self._model.fit(packed, labels, batch_size=work.sizes.batch_size, verbose=0)


def make(work: Workload, **compile_options: Any) -> Contender:
    """The model, ready to train."""
    return KerasMtl(work, **compile_options)
