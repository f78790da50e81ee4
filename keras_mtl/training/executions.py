"""Several steps in one call of TensorFlow: as many as the call asks for, compiled once.

Imports TensorFlow, and is imported on that backend alone.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_mtl.training import replicas
from keras_mtl.training.epochs import Steps
from keras_mtl.training.packed_logs import PackedLogs


def steps_function(
    model: keras.Model, make: Callable[..., Any], step: Callable[[Any], dict[str, Any]]
) -> Callable[[Any], dict[str, Any]]:
    """What a loop of Keras calls with the batches of one call, and `train_on_batch` with its own.

    Args:
        model: The model.
        make: Keras' own `_make_function` of it.
        step: The step on one batch.
    """
    packed = PackedLogs()
    of_keras = make(lambda data: packed.pack(step(data)))
    several = several_steps(of_keras, model.run_eagerly)
    with replicas.scope_of(model):
        on_one_replica = replicas.num_replicas() == 1

    def run(batches: Any) -> dict[str, Any]:
        if not isinstance(batches, Steps):
            return packed.unpack(of_keras(batches))
        if on_one_replica:
            return packed.unpack(several(batches))
        # A loop within a call fails on several replicas, where each call is one step.
        logs = of_keras(batches.iterator)
        batches.done = 1
        return packed.unpack(logs)

    return run


def several_steps(
    one_step: Callable[[Iterable[Any]], tf.Tensor], run_eagerly: bool
) -> Callable[[Steps], tf.Tensor]:
    """A function of the batches of one call, that gives the last step's logs.

    Args:
        one_step: What Keras runs on an iterable of one batch; it gives logs as one tensor.
        run_eagerly: Whether nothing is compiled.

    Raises:
        StopIteration: By the function, if there is no batch left.
    """

    # The number is a tensor, so that another one needs no new graph.
    def run(iterator: tf.data.Iterator, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def is_left(done: tf.Tensor, logs: tf.Tensor, batch: tf.experimental.Optional) -> tf.Tensor:
            return tf.logical_and(done < number, batch.has_value())

        def step(done: tf.Tensor, logs: tf.Tensor, batch: tf.experimental.Optional) -> Any:
            logs = tf.reshape(one_step([batch.get_value()]), [-1])
            done += 1
            # A batch that this call does not run stays in the iterator.
            following = tf.cond(done < number, iterator.get_next_as_optional, lambda: batch)
            return done, logs, following

        # Of static shape (None,): how many figures there are is known once the step is traced.
        no_logs = tf.zeros([0 * number])
        start = (tf.constant(0), no_logs, iterator.get_next_as_optional())
        done, logs, _ = tf.while_loop(is_left, step, start)
        return done, logs

    compiled = run if run_eagerly else tf.function(run, autograph=False, reduce_retracing=True)

    def call(steps: Steps) -> tf.Tensor:
        done, logs = compiled(steps.iterator, tf.constant(steps.number))
        steps.done = int(done)
        if not steps.done:
            raise StopIteration
        return logs

    return call
