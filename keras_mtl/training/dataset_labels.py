"""Labels in a `tf.data.Dataset`, judged by what it says of them before a first batch is read."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_mtl.kinds import check_marker, missing_marker
from keras_mtl.task import Task
from keras_mtl.training.narrow_labels import narrows

# By name, since no backend but TensorFlow's has these classes.
_WITHOUT_SHAPE = {"RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}


def check_dataset_labels(tasks: Sequence[Task], data: Any) -> None:
    """Raises `ValueError` for labels that are strings, ragged or sparse, or lose their marker.

    No other data is read.
    """
    spec = getattr(data, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) < 2:
        return
    labels = spec[1] if isinstance(spec[1], Mapping) else {tasks[0].name: spec[1]}
    for task in tasks:
        label = labels.get(task.name)
        dtype = getattr(getattr(label, "dtype", None), "name", "")
        form = "strings" if dtype == "string" else _WITHOUT_SHAPE.get(type(label).__name__)
        if form is not None:
            raise ValueError(
                f"Labels of task {task.name!r} must be a dense tensor of numbers; classes are "
                f"integers from 0, missing labels NaN or -1. Received: a dataset of {form}, {label}"
            )
        if dtype:
            _check_marker(task, dtype)


def _check_marker(task: Task, dtype: str) -> None:
    """Raises `ValueError` where labels of `dtype`, as the step has them, cannot hold the marker."""
    check_marker(task, dtype)
    in_step = dtype.replace("64", "32") if narrows() else dtype
    marker = missing_marker(task, dtype)
    if in_step == dtype or marker is None or math.isnan(marker):
        return
    narrow = missing_marker(task, in_step)
    if narrow is None or math.isnan(narrow):
        raise ValueError(
            f"Labels of task {task.name!r} in a dataset become {in_step}, which cannot hold its "
            f"`missing`: give them in arrays. Received: dtype={dtype}, missing={task.missing!r}"
        )
