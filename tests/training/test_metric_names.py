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


def named(*names):
    return [keras.metrics.BinaryAccuracy(name=name) for name in names]


@pytest.mark.parametrize(
    "metrics", [named("m", "m"), named("loss"), ["mse", "mse"], ["m1", *named("m1")], "loss"]
)
def test_names_that_were_chosen_twice_are_refused(metrics):
    words = "Metrics of task 'a' must have names of their own, none of them `loss`. Received: '"
    with pytest.raises(ValueError, match=words):
        Task("a", metrics=metrics)
    rows = own_heads(["a"], LOGITS)
    for argument in ("metrics", "weighted_metrics"):
        with pytest.raises(ValueError, match=words):
            rows.model.compile(**{argument: metrics})


def test_a_name_in_both_lists_of_compile_is_refused():
    rows = own_heads(["a"], LOGITS)
    with pytest.raises(ValueError, match="'m' among"):
        rows.model.compile(metrics=named("m"), weighted_metrics=named("m"))


@pytest.mark.parametrize(
    ("tasks", "metric", "owner"),
    [
        (("a", "a_b"), "b_loss", "of task 'a_b'"),
        (("a", "a_b"), "b_auc", "of task 'a_b'"),
        (("a", "a_b"), "b_other", "of task 'a_b'"),
        (("val_c", "c_d", "d"), "d_loss", "of validation"),
        (("learning", "b"), "rate", "of Keras' callbacks"),
    ],
)
def test_a_metric_that_would_be_logged_as_another_figure_is_refused(tasks, metric, owner):
    rows = own_heads(list(tasks), {name: LOGITS["a"] for name in tasks})
    words = f"Metric '{metric}' of task '{tasks[0]}' must not be named .* a figure {owner}"
    with pytest.raises(ValueError, match=words):
        rows.model.compile(metrics={tasks[0]: named(metric)})


def test_metrics_whose_names_only_begin_like_those_of_other_tasks_are_logged():
    rows = own_heads(["a", "a_b"], {name: LOGITS["a"] for name in ("a", "a_b")})
    rows.model.compile(metrics={"a": named("bee", "c_loss"), "a_b": named("loss_c", "b")})
    assert {"a_bee", "a_c_loss", "a_b_loss_c", "a_b_b"} < {*rows.model.metrics_names}


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
