"""Private functions of Keras that the package stands on: these tests tell when Keras moves them.

Where one fails because Keras no longer has the fault, the override in `keras_mtl/model.py`, or in
`replicas.py`, `seeds.py` or `epochs.py` of `keras_mtl/training/`, can go.
"""

import inspect
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow import trainer
from keras.src.trainers.epoch_iterator import EpochIterator


class ReachedError(Exception):
    """Raised by what a test waits for."""


class Marked(keras.Model):
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        raise ReachedError


class MarkedFunction(keras.Model):
    def _make_function(self, step_function):
        raise ReachedError


X, Y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


def plain(cls=keras.Model):
    inputs = keras.Input((2,))
    model = cls(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", run_eagerly=True)
    return model


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_keras_builds_through_the_method_that_is_overridden(method):
    with pytest.raises(ReachedError):
        getattr(plain(Marked), method)(X, Y)


@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_keras_compiles_steps_through_the_method_that_is_overridden(method):
    with pytest.raises(ReachedError):
        getattr(plain(MarkedFunction), method)(X, Y)


def test_keras_still_reduces_a_whole_batch_to_build():
    """The first fault: a tuple of values of replicas, where `reduce` takes one."""
    reduced = []

    def reduce(operation, values, axis):
        reduced.append((values, axis))
        raise ReachedError

    model = plain()
    model._distribute_strategy = SimpleNamespace(reduce=reduce)
    value = object.__new__(tf.distribute.DistributedValues)
    with pytest.raises(ReachedError):
        model._maybe_symbolic_build(iterator=[(0, 1, iter([(value, value)]))])
    assert reduced == [((value, value), None)]


def test_keras_still_averages_scalars_over_an_axis(monkeypatch):
    """The second fault, seen from the step: logs are scalars, and have no axis 0."""
    reduced = []
    model = plain()
    model._distribute_strategy = SimpleNamespace(
        run=lambda function, args: function(*args),
        reduce=lambda *args, **options: reduced.append((args, options)),
    )
    monkeypatch.setattr(trainer, "_collective_all_reduce_multi_worker", lambda strategy: True)
    model._make_function(lambda data: {"loss": 1.0})(iter([(X, Y)]))
    assert reduced == [(("MEAN", 1.0), {"axis": 0})]


def test_keras_still_tracks_the_loss_by_rows():
    """The tracker that ours stands in for: fed by every step with the number of rows."""
    fed = []
    model = plain()
    assert type(model._loss_tracker) is keras.metrics.Mean
    monkey = SimpleNamespace(
        update_state=lambda loss, sample_weight=None: fed.append(int(sample_weight)),
        result=lambda: 0.0,
        reset_state=lambda: None,
        variables=[],
        name="loss",
    )
    object.__setattr__(model, "_loss_tracker", monkey)
    model.train_step((X, Y))
    model.test_step((X[:3], Y[:3]))
    assert fed == [4, 3]


def test_keras_still_leaves_random_states_out_of_weights(tmp_path):
    """What `keras_mtl/training/seeds.py` adds."""
    model, fresh = (
        keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5, seed=0)]) for _ in range(2)
    )
    model(X, training=True)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh.load_weights(tmp_path / "model.weights.h5")
    drawn, loaded = (each.non_trainable_variables[0].numpy()[1] for each in (model, fresh))
    assert (drawn, loaded) == (1, 0)


@pytest.mark.parametrize("loop", ["fit", "evaluate", "predict"])
def test_keras_still_names_its_epoch_iterator_in_its_loops(loop):
    """What `keras_mtl/training/epochs.py` puts its own in the place of."""
    plain = inspect.unwrap(getattr(keras.Model, loop))
    assert "TFEpochIterator" in plain.__code__.co_names
    assert plain.__globals__["TFEpochIterator"] is trainer.TFEpochIterator
    assert plain.__closure__ is None
    assert plain.__kwdefaults__ is None


def test_keras_still_runs_whole_calls():
    """The fault that `keras_mtl/training/epochs.py` mends."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", steps_per_execution=4)
    rows = tf.data.Dataset.from_tensors((X, Y)).repeat()
    model.fit(rows, steps_per_epoch=2, verbose=0, shuffle=False)
    assert int(model.optimizer.iterations.value) == 4


def test_keras_still_enumerates_steps_as_ours_joins_them():
    """Single steps, counted before they run, of one iterator that lasts as long as the data."""
    epoch = EpochIterator(np.zeros((12, 1)), batch_size=2, steps_per_epoch=4)
    seen = [(step, last, epoch._steps_seen) for step, last, _ in epoch._enumerate_iterator()]
    assert seen == [(0, 0, 1), (1, 1, 2), (2, 2, 3), (3, 3, 4)]
    assert epoch._num_batches == 6
    with pytest.warns(UserWarning, match="ran out of data"):
        seen = [step for step, _, _ in epoch._enumerate_iterator()]
    assert (seen, epoch._steps_seen) == ([0, 1], 0)
