"""Data sets with several tasks; each module has a `load` that returns a `Dataset` of arrays."""

from keras_mtl.datasets import census_income, synthetic_tasks, treebank
from keras_mtl.datasets.dataset import Dataset, Split

__all__ = ["Dataset", "Split", "census_income", "synthetic_tasks", "treebank"]
