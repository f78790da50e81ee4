"""One constructor for each published way to share parameters between tasks."""

from keras_mtl.zoo.cgc import cgc
from keras_mtl.zoo.mmoe import mmoe
from keras_mtl.zoo.moe import moe
from keras_mtl.zoo.ple import ple
from keras_mtl.zoo.registry import create, get_constructor, list_models
from keras_mtl.zoo.shared_bottom import shared_bottom
from keras_mtl.zoo.single_task import single_task
from keras_mtl.zoo.switch_transformer import switch_transformer

__all__ = [
    "cgc",
    "create",
    "get_constructor",
    "list_models",
    "mmoe",
    "moe",
    "ple",
    "shared_bottom",
    "single_task",
    "switch_transformer",
]
