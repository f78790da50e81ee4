"""Optimizers move gathered rows as a dense gradient would, however it is listed.

Whole models: `test_gathered_rows.py`; the wall holds every case to it.
"""

import copy
import pickle

import keras
import numpy as np
import pytest

from keras_mtl.training.optimizer_hook import hook, parts

if keras.backend.backend() != "tensorflow":
    pytest.skip("gradients of gathers are dense", allow_module_level=True)

import tensorflow as tf

from keras_mtl.training import row_gradients

OPTIMIZERS = {
    name: getattr(keras.optimizers, name)
    for name in (
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "Adam",
        "AdamW",
        "Adamax",
        "Ftrl",
        "Lamb",
        "Lion",
        "Nadam",
        "RMSprop",
        "SGD",
    )
}
ROWS, WIDTH, STEPS = 6, 3, 3
IDS = np.array([[4, 1, 4, 4, 0, 1], [1, 1, 1, 1, 1, 1], [5, 4, 0, 0, 4, 5]])
SLOPES = np.random.default_rng(0).normal(size=(STEPS, IDS.shape[1], WIDTH)).astype("float32")


def listed(step, first=0, stride=1):
    """The gradient of a gather, as TensorFlow lists it: one row per occurrence."""
    ids, slopes = tf.constant(IDS[step]), tf.constant(SLOPES[step])
    return tf.IndexedSlices(slopes[first::stride], ids[first::stride], tf.constant([ROWS, WIDTH]))


def dense(step):
    gradient = np.zeros((ROWS, WIDTH), "float32")
    np.add.at(gradient, IDS[step], SLOPES[step])
    return tf.constant(gradient)


def moved(optimizer, gradient, *, jit_compile=None):
    """A table after three steps."""
    start = np.random.default_rng(1).normal(size=(ROWS, WIDTH)).astype("float32")
    table = keras.Variable(start, name="table")
    optimizer.build([table])

    def apply(gradient):
        optimizer.apply([gradient], [table])

    step = apply if jit_compile is None else tf.function(apply, jit_compile=jit_compile)
    for number in range(STEPS):
        step(gradient(number))
    return table.numpy()


def hooked(optimizer):
    hook(optimizer)
    return optimizer


@pytest.fixture(params=[0, None], ids=["distinct", "dense"])
def size(request, monkeypatch):
    """Tables large enough to keep a list of rows, and small ones."""
    if request.param is not None:
        monkeypatch.setattr(row_gradients, "DENSE_SIZE", request.param)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_sees_sums(name, jit_compile, size):
    expected = moved(OPTIMIZERS[name](0.1), dense)
    found = moved(hooked(OPTIMIZERS[name](0.1)), listed, jit_compile=jit_compile)
    np.testing.assert_allclose(found, expected, atol=1e-5)


OPTIONS = [
    {"clipnorm": 0.5},
    {"global_clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"gradient_accumulation_steps": 3},
    {"loss_scale_factor": 8.0},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"weight_decay": 0.1},
]


@pytest.mark.parametrize("jit_compile", [None, True], ids=["eager", "xla"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options)))
def test_every_option_sees_sums(options, jit_compile, size):
    expected = moved(keras.optimizers.Adam(0.1, **options), dense)
    optimizer = hooked(keras.optimizers.Adam(0.1, **options))
    found = moved(optimizer, listed, jit_compile=jit_compile)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_clipping_bounds_the_true_norm(option, size):
    """Of a row that comes six times the norm is six times as great, not the square root of that."""
    table = keras.Variable(np.zeros((ROWS, WIDTH), "float32"))
    optimizer = hooked(keras.optimizers.SGD(1.0, **{option: 0.5}))
    gradient = tf.IndexedSlices(tf.ones((6, WIDTH)), tf.zeros(6, tf.int32), tf.constant([ROWS, 3]))
    optimizer.apply([gradient], [table])
    assert np.linalg.norm(table.numpy()) == pytest.approx(0.5, rel=1e-5)


def test_gradients_of_a_loss_scaled_up_are_summed_before_they_are_checked(size):
    """One occurrence may overflow, and the last one not."""
    optimizer = hooked(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1), 4.0))

    def scaled(step):
        return tf.IndexedSlices(4.0 * listed(step).values, IDS[step], tf.constant([ROWS, WIDTH]))

    expected = moved(keras.optimizers.Adam(0.1), dense)
    np.testing.assert_allclose(moved(optimizer, scaled), expected, atol=1e-5)
    (table,) = optimizer.inner_optimizer._trainable_variables
    overflow = np.array([[np.inf] * WIDTH, [1.0] * WIDTH], "float32")
    gradient = tf.IndexedSlices(tf.constant(overflow), tf.constant([2, 2]), tf.constant([ROWS, 3]))
    before = table.numpy()
    optimizer.apply([gradient], [table])
    np.testing.assert_array_equal(table.numpy(), before)
    assert float(optimizer.dynamic_scale) == 2.0


def by_map(optimizer):
    return keras.optimizers.OptimizerMap(keras.optimizers.SGD(), {"table": optimizer})


def by_function(optimizer):
    return lambda variable: optimizer


@pytest.mark.parametrize("choice", [by_map, by_function])
def test_optimizers_inside_see_sums(choice, size):
    optimizer = keras.optimizers.MultiOptimizer(choice(keras.optimizers.Adam(0.1)))
    expected = moved(keras.optimizers.Adam(0.1), dense)
    np.testing.assert_allclose(moved(hooked(optimizer), listed), expected, atol=1e-5)


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("name", ["Adam", "Adagrad", "SGD"])
def test_an_id_on_two_replicas_is_summed_over_both(name, several, size, mirrored):
    expected = moved(OPTIMIZERS[name](0.1), dense)
    with mirrored.scope():
        start = np.random.default_rng(1).normal(size=(ROWS, WIDTH)).astype("float32")
        table = keras.Variable(start, name="table")
        optimizer = OPTIMIZERS[name](0.1)
        if several:
            optimizer = keras.optimizers.MultiOptimizer(by_function(optimizer))
        hooked(optimizer).build([table])

    def apply(step):
        # even places on one replica, odd ones on the other
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([listed(step, replica, 2)], [table])

    for step in range(STEPS):
        mirrored.run(tf.function(apply), args=(step,))
    for value in mirrored.experimental_local_results(table.value):
        np.testing.assert_allclose(value.numpy(), expected, atol=1e-5)


def test_sums_of_listed_rows_are_distinct(monkeypatch):
    monkeypatch.setattr(row_gradients, "DENSE_SIZE", 0)
    plain = row_gradients.sum_of_occurrences(listed(0))
    assert sorted(plain.indices.numpy()) == [0, 1, 4]
    by_xla = tf.function(row_gradients.sum_of_occurrences, jit_compile=True)(listed(0))
    rows = by_xla.indices.numpy()
    assert sorted(rows[rows < ROWS]) == [0, 1, 4]
    for sums in (plain, by_xla):
        here = sums.indices.numpy() < ROWS
        found = np.zeros((ROWS, WIDTH), "float32")
        found[sums.indices.numpy()[here]] = sums.values.numpy()[here]
        np.testing.assert_allclose(found, dense(0), atol=1e-6)
        assert not sums.values.numpy()[~here].any()


@pytest.mark.parametrize("branch", [False, True])
def test_tensorflow_still_tells_whether_xla_compiles(branch):
    """Inside of `tf.cond` as well, where a `LossScaleOptimizer` applies gradients."""
    seen = []

    def look():
        graph = tf.compat.v1.get_default_graph()
        seen.append(row_gradients.control_flow_util.GraphOrParentsInXlaContext(graph))
        return tf.constant(0)

    def function(x):
        return tf.cond(x > 0, look, look) if branch else look()

    for jit_compile in (True, False):
        tf.function(function, jit_compile=jit_compile)(tf.constant(1))
        assert set(seen) == {jit_compile}
        seen.clear()


def make_optimizer(kind):
    if kind == "plain":
        return keras.optimizers.Adam(0.1, clipnorm=1.0)
    if kind == "scaled":
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.1))
    return keras.optimizers.MultiOptimizer(by_map(keras.optimizers.Adam(0.1)))


@pytest.mark.parametrize("kind", ["plain", "scaled", "several"])
def test_the_hook_is_set_once_and_leaves_the_optimizer_what_it_was(kind):
    optimizer = make_optimizer(kind)
    before = keras.saving.serialize_keras_object(optimizer)
    hook(optimizer)
    methods = [(part.apply, part.update_step) for part in parts(optimizer)]
    hook(optimizer)
    assert methods == [(part.apply, part.update_step) for part in parts(optimizer)]
    assert keras.saving.serialize_keras_object(optimizer) == before
    for copied in (
        copy.deepcopy(optimizer),
        pickle.loads(pickle.dumps(optimizer)),
        type(optimizer).from_config(optimizer.get_config()),
    ):
        assert type(copied) is type(optimizer)
        assert keras.saving.serialize_keras_object(copied) == before


def test_occurrences_are_summed_once_where_there_is_one_replica(monkeypatch):
    calls = []
    monkeypatch.setattr(row_gradients, "DENSE_SIZE", 0)
    monkeypatch.setattr(row_gradients, "_unique_rows", lambda g: calls.append(1) or g)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    hook(optimizer)
    moved(hooked(optimizer), listed)
    assert len(calls) == STEPS
