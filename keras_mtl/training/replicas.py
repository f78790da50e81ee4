"""The few lines that know `tf.distribute`; on another backend they hand back what they got."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

_ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


def global_sum(value: Any) -> Any:
    """The sum of `value` over all replicas, on every replica."""
    if not _in_replicas():
        return value
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def num_replicas() -> int:
    """Number of replicas of the strategy in scope; 1 without one."""
    if not _ON_TENSORFLOW:
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def reducible(vector: Any) -> Any:
    """`vector` as a row under a multi-worker strategy, where Keras averages over the first axis."""
    return keras.ops.expand_dims(vector, 0) if _is_multi_worker() else vector


def scope_of(model: keras.Model) -> AbstractContextManager[Any]:
    """The scope of the strategy that `model` was made under."""
    return model.distribute_strategy.scope() if _ON_TENSORFLOW else nullcontext()


def is_chief() -> bool:
    """Whether this process is the one that writes: the first worker, or the only process."""
    if not _ON_TENSORFLOW:
        return True
    import tensorflow as tf

    return tf.distribute.get_strategy().extended.should_checkpoint


def gathered(value: int) -> list[int]:
    """`value` as each worker has it, once for each replica; of one process, its own."""
    if not (_ON_TENSORFLOW and _is_multi_worker()):
        return [value]
    import tensorflow as tf

    def gather() -> Any:
        return tf.distribute.get_replica_context().all_gather(tf.constant([value]), axis=0)

    strategy = tf.distribute.get_strategy()
    return strategy.experimental_local_results(strategy.run(gather))[0].numpy().tolist()


def check_strategy() -> None:
    """Raises `ValueError` under a strategy that Keras 3 cannot train with."""
    if not _ON_TENSORFLOW:
        return
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "A model must be compiled under the default, OneDevice, Mirrored or "
            f"MultiWorkerMirrored strategy. Received: {type(strategy).__name__}"
        )


def _in_replicas() -> bool:
    if num_replicas() == 1:
        return False
    import tensorflow as tf

    return not tf.distribute.in_cross_replica_context()


def _is_multi_worker() -> bool:
    import tensorflow as tf

    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
