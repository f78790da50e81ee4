"""Labels in a dataset that no loss can read get a sentence before a step is compiled."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, Task, zoo

ROWS = np.ones((4, 3), "float32")
LABELS = {
    "strings": np.array(["yes", "no", "no", "yes"]),
    "ragged": tf.ragged.constant([[1.0], [0.0, 1.0], [], [1.0]]),
    "sparse": tf.sparse.from_dense([[1.0], [0.0], [1.0], [0.0]]),
}


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    made = zoo.shared_bottom(3, ["click", Task("size", "regression")], bottom_units=2)
    made.compile("sgd")
    return made


def dataset(labels: Any) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((ROWS, labels)).batch(2)


@pytest.mark.parametrize("form", LABELS)
def test_labels_that_are_no_dense_numbers_get_a_sentence(model: MultiTaskModel, form: str) -> None:
    good = dataset({"click": np.ones(4), "size": np.ones(4)})
    bad = dataset({"click": LABELS[form], "size": np.ones(4)})
    words = f"Labels of task 'click' must be a dense tensor of numbers.*a dataset of {form}"
    with pytest.raises(ValueError, match=words):
        model.fit(bad, verbose=0)
    with pytest.raises(ValueError, match=words):
        model.evaluate(bad, verbose=0)
    with pytest.raises(ValueError, match=words):
        model.fit(good, validation_data=bad, verbose=0)


def test_the_labels_of_one_task_are_looked_at_without_a_name() -> None:
    model = zoo.shared_bottom(3, ["click"], bottom_units=2)
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"Labels of task 'click'.*a dataset of strings"):
        model.fit(dataset(LABELS["strings"]), verbose=0)


def test_columns_that_no_task_reads_may_be_anything(model: MultiTaskModel) -> None:
    labels = {"click": np.ones(4), "size": np.ones(4), "note": LABELS["strings"]}
    model.evaluate(dataset(labels), verbose=0)
