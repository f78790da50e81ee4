"""Data sets with several tasks; each module has a `load` that returns a `Dataset` of arrays."""

from keras_mtl.datasets import census_income, synthetic_tasks, treebank
from keras_mtl.datasets.dataset import Dataset, Split
from keras_mtl.datasets.long_format import labels_from_long

__all__ = ["Dataset", "Split", "census_income", "labels_from_long", "synthetic_tasks", "treebank"]
