import numpy as np
import pytest

from keras_mtl.study.measures import by_task, exact_auc, known_rows, primary_metric
from keras_mtl.task import Task


def test_logs_go_to_the_task_with_the_longest_matching_name():
    logs = {"loss": 9.0, "a_loss": 1.0, "a_b_loss": 2.0, "a_b_auc": 0.5, "c_auc": 0.1}
    assert by_task(logs, ["a_b", "a"]) == {"a": {"loss": 1.0}, "a_b": {"auc": 0.5, "loss": 2.0}}


def test_primary_metric_follows_the_kind_then_the_first_metric():
    assert primary_metric(Task("a"), ["loss", "accuracy", "auc"]) == "auc"
    assert primary_metric(Task("a", "regression"), ["loss", "mae", "mse"]) == "mse"
    assert primary_metric(Task("a"), ["loss", "precision"]) == "precision"
    assert primary_metric(Task("a"), ["loss"]) == "loss"


@pytest.mark.parametrize("ties", [False, True])
def test_auc_equals_scikit_learn(ties):
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    labels = (rng.random(500) < 0.03).astype(int)
    scores = rng.random(500) + 0.3 * labels
    scores = np.round(scores, 1) if ties else scores
    assert exact_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auc_of_one_class_is_no_number():
    assert np.isnan(exact_auc(np.ones(3), np.arange(3.0)))


def test_known_rows_follow_the_mark_of_missing():
    assert known_rows(Task("a"), np.array([np.nan, 1.0])).tolist() == [False, True]
    assert known_rows(Task("a", missing=9), np.array([9, 1])).tolist() == [False, True]
    assert known_rows(Task("a", missing=None), np.array([-1, 1])).tolist() == [True, True]
    assert known_rows(Task("a", "regression"), np.array([-1, 1])).tolist() == [True, True]
