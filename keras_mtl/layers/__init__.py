"""The mechanisms of the papers, one a file."""

from keras_mtl.layers.cgc import CGC, PLE
from keras_mtl.layers.experts import Experts
from keras_mtl.layers.gate import Gate
from keras_mtl.layers.mmoe import MMoE
from keras_mtl.layers.moe import MoE
from keras_mtl.layers.switch_ffn import SwitchFFN
from keras_mtl.layers.task_dense import TaskDense
from keras_mtl.layers.task_output import TaskOutput

__all__ = ["CGC", "PLE", "Experts", "Gate", "MMoE", "MoE", "SwitchFFN", "TaskDense", "TaskOutput"]
