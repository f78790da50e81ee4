"""Data sets with several tasks; each module has a `load` that returns NumPy arrays."""

from keras_mtl.datasets import census_income, synthetic_tasks, treebank

__all__ = ["census_income", "synthetic_tasks", "treebank"]
