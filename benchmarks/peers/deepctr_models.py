"""DeepCTR's MMOE and PLE with its feature columns and Keras' `fit`, as its own example has it."""

import math
from typing import Any

import keras
import numpy as np
from deepctr.feature_column import DenseFeat, SparseFeat, get_feature_names
from deepctr.models import MMOE, PLE

from benchmarks.workload import Contender, Workload


class DeepCTR:
    """A compiled model and an array a column."""

    def __init__(self, work: Workload, model: str, **compile_options: Any) -> None:
        self._work = work
        sparse = {name: work.categorical[:, f] for f, name in enumerate(work.vocabularies)}
        dense = {f"number_{n}": work.numeric[:, n] for n in range(work.numeric.shape[1])}
        columns = [
            SparseFeat(name, vocabulary_size=size, embedding_dim=work.sizes.embedding_dim)
            for name, size in work.vocabularies.items()
        ] + [DenseFeat(name, 1) for name in dense]
        arrays = sparse | dense
        # Its users hold each column in an array of its own; those of a packed array are strided.
        self._columns = {
            name: np.ascontiguousarray(arrays[name]) for name in get_feature_names(columns)
        }
        self._model = new_model(work, model, columns)
        losses = ["binary_crossentropy"] * len(work.labels)
        self._model.compile("adam", loss=losses, metrics=losses, **compile_options)
        self.parameters = sum(math.prod(weight.shape) for weight in self._model.trainable_weights)

    def train(self, rows: int) -> None:
        """Fits once on the first rows."""
        columns = {name: values[:rows] for name, values in self._columns.items()}
        labels = [values[:rows, None] for values in self._work.labels.values()]
        self._model.fit(columns, labels, batch_size=self._work.sizes.batch_size, verbose=0)


def new_model(work: Workload, model: str, columns: list[Any]) -> keras.Model:
    """Its MMOE or PLE in our sizes."""
    sizes = work.sizes
    common: dict[str, Any] = {
        "expert_dnn_hidden_units": sizes.expert_units,
        "tower_dnn_hidden_units": sizes.tower_units,
        "l2_reg_embedding": 0.0,
        "seed": sizes.seed,
        "task_types": ["binary"] * len(work.labels),
        "task_names": list(work.labels),
    }
    if model == "mmoe":
        return MMOE(columns, num_experts=sizes.num_experts, **common)
    return PLE(
        columns,
        shared_expert_num=sizes.shared_experts,
        specific_expert_num=sizes.task_experts,
        num_levels=sizes.levels,
        **common,
    )


def make(work: Workload, model: str, **compile_options: Any) -> Contender:
    """The model, ready to train."""
    return DeepCTR(work, model, **compile_options)
