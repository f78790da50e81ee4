"""Never a step more than asked for, and every batch for those who look at batches."""

import functools
import io
import re
from contextlib import redirect_stdout

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import zoo
from keras_mtl.training.batch_watchers import watches_batches
from keras_mtl.training.label_check import LabelCheck

ROWS, BATCH = 160, 4  # 40 batches
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype("float32")
Y = {name: (X[:, column] > 0).astype("int64") for column, name in enumerate("ab")}


class Counted:
    """A model, compiled once, and the steps it has made since the test began."""

    def __init__(self, **compiled):
        self.model = zoo.shared_bottom(3, ["a", "b"], bottom_units=3, tower_units=(), seed=0)
        # The weights stay, so that losses can be compared.
        self.model.compile(keras.optimizers.SGD(0.0), **compiled)
        self._before = 0

    @property
    def steps(self):
        iterations = keras.ops.convert_to_tensor(self.model.optimizer.iterations)
        return int(keras.ops.convert_to_numpy(iterations)) - self._before

    def anew(self):
        self._before += self.steps
        return self

    def fit(self, data, **arguments):
        return self.model.fit(data, shuffle=False, **{"verbose": 0} | arguments)


@functools.cache
def compiled_once(steps, **compiled):
    return Counted(steps_per_execution=steps, **compiled)


def made(steps="auto", **compiled):
    return compiled_once(steps, **compiled).anew()


def dataset(rows=ROWS):
    labels = {name: label[:rows] for name, label in Y.items()}
    return tf.data.Dataset.from_tensor_slices((X[:rows], labels)).batch(BATCH)


def batches(rows=ROWS):
    for start in range(0, rows, BATCH):
        part = slice(start, start + BATCH)
        yield X[part], {name: label[part] for name, label in Y.items()}


def unknown(rows=ROWS):
    """A dataset that does not know its length."""
    return dataset(rows).filter(lambda x, y: True)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return ROWS // BATCH

    def __getitem__(self, index):
        part = slice(index * BATCH, (index + 1) * BATCH)
        return X[part], {name: label[part] for name, label in Y.items()}


class Seen(keras.callbacks.Callback):
    """Batches as a callback of the user sees them, by their numbers."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.first, self.last, self.test, self.predict = [], [], [], []
        self.stop_at = stop_at

    def on_train_batch_begin(self, batch, logs=None):
        self.first.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.last.append(batch)
        self.model.stop_training = batch == self.stop_at

    def on_test_batch_end(self, batch, logs=None):
        self.test.append(batch)

    def on_predict_batch_end(self, batch, logs=None):
        self.predict.append(batch)


SOURCES = {
    "repeated": lambda: dataset().repeat(),
    "finite": dataset,
    "unknown": lambda: unknown().repeat(),
    "generator": lambda: (batch for _ in range(3) for batch in batches()),
    "py_dataset": Sequence,
}


@pytest.mark.parametrize("steps", ["auto", 4, 1])
@pytest.mark.parametrize("source", SOURCES)
def test_an_epoch_has_the_steps_that_were_asked_for(source, steps):
    counted = made(steps)
    counted.fit(SOURCES[source](), steps_per_epoch=10, epochs=3)
    assert counted.steps == 30


@pytest.mark.parametrize("steps", ["auto", 4])
def test_of_arrays_as_well(steps):
    counted = made(steps)
    counted.model.fit(X, Y, batch_size=BATCH, steps_per_epoch=10, epochs=2, verbose=0)
    assert counted.steps == 20


def test_eagerly_as_well():
    counted = made(4, run_eagerly=True)
    counted.fit(dataset(), steps_per_epoch=6, epochs=2)
    assert counted.steps == 12


def test_a_finite_dataset_is_read_on_from_epoch_to_epoch_and_then_anew():
    """Each epoch's loss is that of its own rows, at weights that stay."""
    counted = made()
    found = counted.fit(dataset(), steps_per_epoch=10, epochs=5).history["loss"]
    for epoch, loss in enumerate(found):
        part = slice(epoch % 4 * 40, epoch % 4 * 40 + 40)
        rows = counted.model.evaluate(
            X[part], {name: y[part] for name, y in Y.items()}, verbose=0, return_dict=True
        )
        assert loss == pytest.approx(rows["loss"], rel=1e-5)


def test_data_that_run_out_end_the_epoch_with_one_warning():
    counted = made()
    with pytest.warns(UserWarning, match="ran out of data"):
        counted.fit(unknown(), steps_per_epoch=50)
    assert counted.steps == 40


@pytest.mark.parametrize("steps", ["auto", 4, 1])
def test_data_of_unknown_length_are_read_to_their_end(steps):
    counted = made(steps)
    counted.fit(unknown(42), epochs=3)  # the last batch has two rows
    assert counted.steps == 33


def test_the_limit_of_keras_for_debugging_holds():
    keras.config.set_max_steps_per_epoch(3)
    try:
        counted = made()
        with pytest.warns(UserWarning, match="Limiting steps_per_epoch"):
            counted.fit(dataset(), epochs=2)
    finally:
        keras.config.set_max_steps_per_epoch(None)
    assert counted.steps == 6


@pytest.mark.parametrize("steps", ["auto", 2])
def test_evaluation_and_validation_see_the_rows_that_were_asked_for(steps):
    counted = made(steps)
    few = (X[:12], {name: label[:12] for name, label in Y.items()})
    right = counted.model.evaluate(*few, verbose=0, return_dict=True)
    found = counted.model.evaluate(dataset(), steps=3, verbose=0, return_dict=True)
    assert found == pytest.approx(right)
    logs = counted.fit(dataset(), validation_data=dataset(), validation_steps=3, epochs=2).history
    assert logs["val_loss"] == pytest.approx([right["loss"]] * 2)


@pytest.mark.parametrize("steps", ["auto", 2])
def test_predictions_are_of_the_steps_that_were_asked_for(steps):
    counted = made(steps)
    found = counted.model.predict(dataset().map(lambda x, y: x), steps=3, verbose=0)
    assert {name: len(rows) for name, rows in found.items()} == {"a": 12, "b": 12}
    np.testing.assert_allclose(found["a"], counted.model.predict(X[:12], verbose=0)["a"], rtol=1e-5)


def test_the_bar_never_shows_a_step_too_many():
    text = io.StringIO()
    counted = made()
    with redirect_stdout(text):
        counted.fit(dataset().repeat(), steps_per_epoch=10, epochs=2, verbose=1)
        counted.model.evaluate(dataset(), steps=3, verbose=1)
        counted.model.predict(dataset().map(lambda x, y: x), steps=18, verbose=1)
    shown = {(int(a), int(b)) for a, b in re.findall(r"(\d+)/(\d+)", text.getvalue())}
    assert {(10, 10), (3, 3), (16, 18), (18, 18)} <= shown
    assert all(done <= asked for done, asked in shown)


def test_under_auto_a_callback_of_the_user_sees_every_batch():
    counted, seen = made(), Seen()
    counted.fit(dataset(), validation_data=dataset(20), callbacks=[seen])
    counted.model.evaluate(dataset(20), callbacks=[seen], verbose=0)
    counted.model.predict(X[:20], batch_size=BATCH, callbacks=[seen], verbose=0)
    assert seen.first == seen.last == list(range(40))
    assert seen.test == [*range(5), *range(5)]
    assert seen.predict == [*range(5)]


def test_with_a_number_it_sees_every_nth_and_the_last():
    counted, seen = made(16), Seen()
    counted.fit(dataset(), callbacks=[seen])
    assert (seen.first, seen.last) == ([0, 16, 32], [15, 31, 39])


def test_training_stops_in_the_batch_that_says_so():
    counted = made()
    counted.fit(dataset(), epochs=3, callbacks=[Seen(stop_at=2)])
    assert counted.steps == 3


def test_checkpoints_are_written_at_the_batches_asked_for(tmp_path):
    counted = made()
    path = str(tmp_path / "{epoch}-{batch}.weights.h5")
    saving = keras.callbacks.ModelCheckpoint(path, save_freq=15, save_weights_only=True)
    counted.fit(dataset(), callbacks=[saving], epochs=2)
    written = {path.name.removesuffix(".weights.h5") for path in tmp_path.iterdir()}
    assert written == {"1-15", "1-30", "2-5", "2-20", "2-35"}


def of_lambda(**hooks):
    return keras.callbacks.LambdaCallback(**hooks)


class EveryEpoch(keras.callbacks.ModelCheckpoint):
    """A user's, which defines no hook of batches."""


WATCHERS = {
    "user": (Seen, "fit evaluate predict"),
    "lambda": (lambda: of_lambda(on_train_batch_end=lambda batch, logs: None), "fit"),
    "lambda_of_tests": (
        lambda: of_lambda(on_test_batch_begin=lambda batch, logs: None),
        "fit evaluate",
    ),
    "lambda_of_epochs": (lambda: of_lambda(on_epoch_end=lambda epoch, logs: None), ""),
    "checkpoint": (lambda: keras.callbacks.ModelCheckpoint("a.keras", save_freq=3), "fit"),
    "checkpoint_of_epochs": (lambda: keras.callbacks.ModelCheckpoint("a.keras"), ""),
    "checkpoint_of_user": (lambda: EveryEpoch("a.keras"), ""),
    "backup": (lambda: keras.callbacks.BackupAndRestore("a", save_freq=3), "fit"),
    "backup_of_epochs": (lambda: keras.callbacks.BackupAndRestore("a"), ""),
    "nan": (keras.callbacks.TerminateOnNaN, "fit"),
    "stopping": (keras.callbacks.EarlyStopping, ""),
    "bar": (keras.callbacks.ProgbarLogger, ""),
    "history": (keras.callbacks.History, ""),
    "ours": (LabelCheck, ""),
    "list": (lambda: keras.callbacks.CallbackList([Seen()]), "fit evaluate predict"),
}


@pytest.mark.parametrize("name", WATCHERS)
def test_who_looks_at_batches(name):
    make, loops = WATCHERS[name]
    callback = make()
    callbacks = callback if name == "list" else [keras.callbacks.CSVLogger("a"), [callback]]
    found = [loop for loop in ("fit", "evaluate", "predict") if watches_batches(callbacks, loop)]
    assert found == loops.split()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's graphs")
def test_neither_callbacks_nor_numbers_of_steps_compile_anew():
    counted, traced = Counted(steps_per_execution="auto"), []
    step = counted.model.train_step
    counted.model.train_step = lambda data: traced.append(1) or step(data)
    for arguments in ({}, {"callbacks": [Seen()]}, {}, {"steps_per_epoch": 7}):
        counted.fit(dataset(), **arguments)
    assert len(traced) == 1
