"""Ours with many binary tasks whose labels are mostly missing, as in ToxCast."""

import math

import keras
import numpy as np

from benchmarks.workload import Contender, Workload
from keras_mtl import zoo

FEATURES = 1024  # bits of a molecule's fingerprint
LABELLED = 0.3


class ManyTasks:
    """A compiled model and one batch of random rows."""

    def __init__(self, work: Workload, model: str, tasks: int) -> None:
        rng = np.random.default_rng(work.sizes.seed)
        names = [f"assay_{task}" for task in range(tasks)]
        rows = self._batch_size = work.sizes.batch_size
        self._features = rng.integers(2, size=(rows, FEATURES)).astype("float32")
        labels = rng.integers(2, size=(tasks, rows)).astype("float32")
        labels[rng.random(labels.shape) > LABELLED] = np.nan
        self._labels = dict(zip(names, labels, strict=True))
        self._model = zoo.create(model, FEATURES, names, seed=work.sizes.seed)
        self._model.compile("adam")
        self.parameters = sum(math.prod(weight.shape) for weight in self._model.trainable_weights)

    def train(self, rows: int) -> None:
        """Fits on at most the one batch."""
        labels = {name: values[:rows] for name, values in self._labels.items()}
        self._model.fit(self._features[:rows], labels, batch_size=self._batch_size, verbose=0)


def make(work: Workload, model: str, tasks: int, precision: str = "float32") -> Contender:
    """The model, ready to train."""
    if precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{precision}")
    return ManyTasks(work, model, tasks)
