"""Multi-task models for Keras 3: shared layers, ready models, honest losses, served exports."""

from keras_mtl import datasets, features, layers, losses, metrics, serving, zoo
from keras_mtl.model import MultiTaskModel
from keras_mtl.task import Task
from keras_mtl.version import __version__

__all__ = [
    "MultiTaskModel",
    "Task",
    "__version__",
    "datasets",
    "features",
    "layers",
    "losses",
    "metrics",
    "serving",
    "zoo",
]
