"""Ours: `zoo.mmoe` and `zoo.ple` on a table, compiled with the options of the contender."""

import math
from typing import Any

import keras

from benchmarks.workload import Contender, Sizes, Workload
from keras_mtl import zoo


class KerasMtl:
    """A compiled model and its packed rows."""

    def __init__(self, work: Workload, model: str, **compile_options: Any) -> None:
        sizes = work.sizes
        self._work = work
        self._model = zoo.create(
            model,
            keras.saving.deserialize_keras_object(work.table),
            list(work.labels),
            expert_units=sizes.expert_units,
            tower_units=sizes.tower_units,
            seed=sizes.seed,
            **expert_counts(sizes, model),
        )
        self._model.compile("adam", **compile_options)
        self.parameters = sum(math.prod(weight.shape) for weight in self._model.trainable_weights)

    def train(self, rows: int) -> None:
        """Fits once on the first rows."""
        work = self._work
        packed = {"categorical": work.categorical[:rows], "numeric": work.numeric[:rows]}
        labels = {task: values[:rows] for task, values in work.labels.items()}
        self._model.fit(packed, labels, batch_size=work.sizes.batch_size, verbose=0)


def expert_counts(sizes: Sizes, model: str) -> dict[str, int]:
    """The arguments that MMoE and PLE do not share."""
    if model == "mmoe":
        return {"num_experts": sizes.num_experts}
    return {
        "levels": sizes.levels,
        "shared_experts": sizes.shared_experts,
        "task_experts": sizes.task_experts,
    }


def make(
    work: Workload, model: str, precision: str = "float32", **compile_options: Any
) -> Contender:
    """The model, ready to train; bfloat16 as Keras' mixed precision."""
    if precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{precision}")
    return KerasMtl(work, model, **compile_options)
