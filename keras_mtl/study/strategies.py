"""The strategy of a study's process: one for all its runs, made before TensorFlow does anything."""

import contextlib
import functools
import json
import os
from typing import Any

import keras

from keras_mtl.training import replicas

STRATEGIES = ("default", "mirrored", "multi_worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)


def start(name: str) -> None:
    """Makes the strategy and says what it found; with several workers, waits until all are there.

    Raises:
        ValueError: where Keras does not run on TensorFlow, or `TF_CONFIG` describes no cluster.
    """
    if name == "default":
        return
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "Argument `--strategy` needs Keras on TensorFlow. "
            f"Received: --strategy={name}, backend={keras.backend.backend()}"
        )
    with scope(name):
        print(f"{name}: {_place()}; replicas in all: {replicas.num_replicas()}", flush=True)


def scope(name: str) -> contextlib.AbstractContextManager[Any]:
    """The scope in which a run's model is built and compiled."""
    return contextlib.nullcontext() if name == "default" else _strategy(name).scope()


def is_chief(name: str) -> bool:
    """Whether this process writes and reports; the others only take part."""
    with scope(name):
        return replicas.is_chief()


def chief_says(name: str, answer: bool = False) -> bool:
    """The chief's answer, on all workers; those of the others do not count."""
    with scope(name):
        return any(replicas.gathered(int(answer and replicas.is_chief())))


@functools.cache
def _strategy(name: str) -> Any:
    import tensorflow as tf

    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    _check_cluster(os.environ.get("TF_CONFIG"))
    return tf.distribute.MultiWorkerMirroredStrategy()


def _check_cluster(text: str | None) -> None:
    """Raises `ValueError` for a cluster that TensorFlow would answer with a traceback."""
    if text is None:
        return
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
        config = json.loads(text)
        task, index = config["task"], int(config["task"]["index"])
        workers = config["cluster"].get(task["type"], [])
        if task["type"] in ("chief", "worker") and 0 <= index < len(workers):
            return
    raise ValueError(
        "Environment variable `TF_CONFIG` must name all workers and which of them this is, "
        f"such as {_EXAMPLE}. Received: TF_CONFIG={text}"
    )


def _place() -> str:
    import tensorflow as tf

    resolver = tf.distribute.get_strategy().cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver is not None else {}
    if not cluster:
        return "one process"
    workers = sum(map(len, cluster.values()))
    return f"{resolver.task_type} {resolver.task_id} of {workers} processes"
