"""The AUC and the entry losses under numbers that are none."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.losses.entries import joint_crossentropy
from keras_mtl.metrics import AUC
from tests.hostile.outcomes import refusal

quick = settings(max_examples=40, deadline=None, derandomize=True, database=None)
NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, -0.0, 1e-45, 0.3, -2.0, 7.5])
LOGS = st.floats(-(2.0**100), 0.0, width=32)
ENTRIES = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, np.nan]), NUMBERS, st.sampled_from([0.0, 1.0, 2.5, 1e-3])),
    max_size=7,
)


def auc(entries, **arguments):
    columns = np.array(entries, "float32").reshape(-1, 3).T
    metric = AUC(**{"from_logits": True, **arguments})
    metric.update_state(columns[0], columns[1], sample_weight=columns[2])
    return float(metric.result())


def pairs(entries):
    """The definition: won pairs over pairs, by weight, ties half; NaN where an entry is NaN."""
    counted = [entry for entry in entries if entry[2]]
    if any(np.isnan(label) or np.isnan(score) for label, score, _ in counted):
        return np.nan
    won = total = 0.0
    for label, score, weight in counted:
        for other_label, other_score, other_weight in counted:
            if label == 1 and other_label == 0:
                total += weight * other_weight
                won += weight * other_weight * ((score > other_score) + (score == other_score) / 2)
    return won / total if total else np.nan


@quick
@given(ENTRIES)
def test_the_auc_of_any_logits(entries):
    # Logits further out than the bins resolve are ties; there the definition says otherwise.
    near = [(y, score if abs(score) < 1e6 else np.sign(score) * 1e6, w) for y, score, w in entries]
    near = [(y, 0.0 if abs(score) < 1e-3 else score, w) for y, score, w in near]
    expected = pairs(near)
    assert auc(entries) == pytest.approx(expected, abs=1e-4, nan_ok=True)


@quick
@given(ENTRIES)
def test_an_entry_without_weight_changes_nothing(entries):
    unweighted = [(np.nan, np.nan, 0.0), (1.0, np.inf, 0.0), (0.0, -np.inf, 0.0)]
    assert auc([*entries, *unweighted]) == pytest.approx(auc(entries), nan_ok=True)


def test_probabilities_outside_are_nan_not_a_number_that_looks_right():
    for score in (1.5, -0.5, np.nan, np.inf):
        assert np.isnan(auc([(1, score, 1), (0, 0.5, 1)], from_logits=False))
    assert auc([(1, 1.0, 1), (0, 0.0, 1)], from_logits=False) == 1.0


def test_a_nan_weight_makes_the_result_nan():
    assert np.isnan(auc([(1, 0.5, np.nan), (0, 0.5, 1), (1, 0.7, 1)]))


def test_no_entries():
    assert np.isnan(auc([]))
    metric = AUC(num_labels=3, average=None)
    metric.update_state(np.zeros((0, 3)), np.zeros((0, 3)))
    assert np.isnan(keras.ops.convert_to_numpy(metric.result())).tolist() == [True] * 3


def test_shapes_that_do_not_fit():
    metric = AUC()
    for y_true, y_pred, weight in (
        (np.ones(3), np.ones(2), None),
        (np.ones(4), np.ones(4), np.ones(3)),
        (np.ones(4), np.ones(4), np.ones((4, 2))),
        (["a"], [0.5], None),
        ([0.5], ["a"], None),
    ):
        assert "Argument" in refusal(
            lambda y_true=y_true, y_pred=y_pred, weight=weight: metric.update_state(
                y_true, y_pred, sample_weight=weight
            )
        )
    assert not np.any(metric.histogram)  # nothing was written


@quick
@given(st.lists(LOGS, min_size=1, max_size=4), st.sampled_from([0, 1]))
def test_the_cross_entropy_of_a_product_is_finite(logs, label):
    columns = [np.array([[value]], "float32") for value in logs]
    loss = joint_crossentropy(np.array([[label]], "float32"), columns)
    value = float(keras.ops.convert_to_numpy(loss)[0, 0])
    assert np.isfinite(value) or (label == 1 and sum(logs) < -3e38)
    assert value >= 0
