"""Every metric of a task has a name of its own in the logs."""

import keras
import numpy as np
import pytest

from keras_mtl import Task
from tests.training.free_logits import own_heads

ROWS = 6
LABELS = np.array([0, 1, 1, 0, 1, 0])
LOGITS = {"a": np.linspace(-1.0, 1.0, ROWS)[:, None]}


def compiled(metrics):
    rows = own_heads([Task("a", metrics=metrics)], LOGITS)
    rows.model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return rows


def test_later_metrics_of_one_name_are_numbered():
    thresholds = (0.1, 0.5, 0.9)
    rows = compiled([keras.metrics.BinaryAccuracy(threshold=each) for each in thresholds])
    logs = rows.model.evaluate(rows.x, LABELS, return_dict=True, verbose=0)
    probabilities = 1 / (1 + np.exp(-LOGITS["a"][:, 0]))
    names = ("a_binary_accuracy", "a_binary_accuracy_1", "a_binary_accuracy_2")
    for name, threshold in zip(names, thresholds, strict=True):
        assert logs[name] == pytest.approx(np.mean((probabilities > threshold) == LABELS))
    assert {*names} < {*rows.model.metrics_names}


class Several(keras.metrics.Mean):
    """A metric whose result is a dict."""

    def update_state(self, labels, outputs, sample_weight=None):
        super().update_state(outputs, sample_weight)

    def result(self):
        return {"low": super().result(), "high": super().result()}


def test_a_metric_of_several_figures_is_refused():
    rows = compiled([Several(name="d")])
    with pytest.raises(ValueError, match=r"Metric 'd' of task 'a' must have one figure.*'low'"):
        rows.model.evaluate(rows.x, LABELS, verbose=0)
