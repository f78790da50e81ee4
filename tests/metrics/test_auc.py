import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from keras_mtl.metrics import AUC


def draw(rate, center=None, scale=1.0, rows=200_000, seed=0):
    """Labels at `rate` and logits whose positives lie 1.2 scales above the negatives."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(rows) < rate).astype("float32")
    labels[: max(2, int(rate * rows) // 10)] = 1
    center = np.log(rate / (1 - rate)) if center is None else center
    logits = center + scale * (rng.normal(size=rows) + 1.2 * labels)
    return labels, logits.astype("float32")


def stream(metric, *arrays, batch=7_001):
    for start in range(0, len(arrays[0]), batch):
        metric.update_state(*(array[start : start + batch] for array in arrays))
    return np.asarray(metric.result())


def probability(logits):
    return 1 / (1 + np.exp(-logits.astype("float64")))


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001, 0.0001])
@pytest.mark.parametrize(
    ("center", "scale"),
    [(None, 1.0), (None, 0.025), (0.0, 0.025), (6.0, 1.0), (-15.0, 3.0), (-3.0, 0.1)],
)
def test_agrees_with_the_exact_curve(rate, center, scale):
    labels, logits = draw(rate, center, scale)
    exact = roc_auc_score(labels, logits)
    assert stream(AUC(from_logits=True), labels, logits) == pytest.approx(exact, abs=1e-3)
    if center is None:
        predictions = probability(logits).astype("float32")
        exact = roc_auc_score(labels, predictions)
        assert stream(AUC(), labels, predictions) == pytest.approx(exact, abs=1e-3)


def test_beats_evenly_spaced_probabilities_on_a_rare_task():
    labels, logits = draw(0.001)
    predictions = probability(logits).astype("float32")
    exact = roc_auc_score(labels, predictions)
    assert abs(stream(keras.metrics.AUC(), labels, predictions) - exact) > 0.01
    assert abs(stream(AUC(), labels, predictions) - exact) < 1e-3


def test_ties_count_half_and_extremes_keep_their_order():
    auc = AUC()
    auc.update_state([0, 1, 0, 1, 1], [0.3, 0.3, 0.3, 0.3, 0.3])
    assert float(auc.result()) == pytest.approx(0.5)
    auc.reset_state()
    auc.update_state([0, 1, 0, 1], [0.0, 0.0, 1.0, 1.0])
    assert float(auc.result()) == pytest.approx(0.5)
    auc = AUC(from_logits=True)
    auc.update_state([0, 0, 1, 1], [-np.inf, -90.0, 90.0, np.inf])
    assert float(auc.result()) == pytest.approx(1.0)
    few = np.random.default_rng(0).integers(0, 5, 500) / 4
    labels = (np.random.default_rng(1).random(500) < 0.2 + 0.5 * few).astype(int)
    exact = roc_auc_score(labels, few)
    assert stream(AUC(from_logits=True), labels, few) == pytest.approx(exact, abs=1e-5)


def test_weights_are_those_of_the_exact_curve():
    labels, logits = draw(0.05, rows=20_000)
    weights = np.random.default_rng(3).gamma(1.0, 2.0, len(labels)).astype("float32")
    exact = roc_auc_score(labels, logits, sample_weight=weights)
    assert abs(exact - roc_auc_score(labels, logits)) > 2e-4
    column = weights[:, None]
    for weighted in (weights, column):
        measured = stream(AUC(from_logits=True), labels, logits, weighted)
        assert measured == pytest.approx(exact, abs=1e-4)
    measured = stream(AUC(from_logits=True), labels, logits[:, None], weights)
    assert measured == pytest.approx(exact, abs=1e-4)


def test_entries_of_weight_zero_change_nothing():
    labels, logits = draw(0.2, rows=600)
    weights = (np.arange(600) % 3 > 0).astype("float32")
    clean, spoiled = AUC(from_logits=True), AUC(from_logits=True)
    clean.update_state(labels[weights > 0], logits[weights > 0])
    labels[::3], logits[::6] = np.nan, np.nan
    spoiled.update_state(labels, logits, weights)
    for kept, masked in zip(clean.variables, spoiled.variables, strict=True):
        np.testing.assert_allclose(kept, masked, atol=1e-5)
    assert float(spoiled.result()) == pytest.approx(float(clean.result()), abs=1e-6)


@pytest.mark.parametrize(("label", "score"), [(1.0, np.nan), (np.nan, 0.3), (0.0, 1.7)])
def test_a_weighted_entry_without_a_value_is_not_hidden(label, score):
    auc = AUC()
    auc.update_state([0.0, 1.0, label], [0.2, 0.4, score])
    assert np.isnan(float(auc.result()))


def test_labels_have_their_own_curves():
    rng = np.random.default_rng(0)
    labels = (rng.random((4_000, 3)) < [0.5, 0.1, 0.0]).astype("float32")
    logits = (rng.normal(size=(4_000, 3)) + labels * [0.5, 1.5, 0.0]).astype("float32")
    weights = (rng.random((4_000, 3)) < 0.7).astype("float32")
    exact = [
        roc_auc_score(labels[:, i], logits[:, i], sample_weight=weights[:, i]) for i in range(2)
    ]
    arguments = {"from_logits": True, "num_labels": 3}
    each = stream(AUC(average=None, **arguments), labels, logits, weights)
    np.testing.assert_allclose(each, [*exact, np.nan], atol=1e-4)
    macro = stream(AUC(**arguments), labels, logits, weights)
    assert macro == pytest.approx(np.mean(exact), abs=1e-4)
    rows = stream(AUC(average=None, **arguments), labels, logits, weights[:, :1])
    expected = roc_auc_score(labels[:, 1], logits[:, 1], sample_weight=weights[:, 0])
    assert rows[1] == pytest.approx(expected, abs=1e-4)


def test_one_class_or_nothing_has_no_curve():
    assert np.isnan(float(AUC().result()))
    auc = AUC(num_labels=2)
    auc.update_state([[0, 1], [0, 1]], [[0.1, 0.2], [0.3, 0.4]])
    assert np.isnan(float(auc.result()))
    auc.update_state([[1, 1]], [[0.2, 0.0]])
    assert float(auc.result()) == 0.5  # of the first label alone


def test_histograms_of_parts_add_up_to_the_whole():
    labels, logits = draw(0.1, rows=5_000)
    whole, left, right = (AUC(from_logits=True) for _ in range(3))
    whole.update_state(labels, logits)
    left.update_state(labels[:1_234], logits[:1_234])
    right.update_state(labels[1_234:], logits[1_234:])
    left.histogram.assign_add(right.histogram)
    assert float(left.result()) == pytest.approx(float(whole.result()), abs=1e-6)


def test_trains_compiled_with_the_same_value_and_reloads(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 3)).astype("float32")
    y = (x[:, :1] + rng.normal(size=(256, 1)) > 0).astype("float32")
    values = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
        model.compile(loss="binary_crossentropy", metrics=[AUC()], jit_compile=jit_compile)
        model.fit(x, y, epochs=1, batch_size=64, verbose=0)
        values.append(model.evaluate(x, y, batch_size=60, verbose=0, return_dict=True)["auc"])
    assert values[0] == pytest.approx(values[1], abs=1e-5)
    assert values[0] == pytest.approx(roc_auc_score(y, model.predict(x, verbose=0)), abs=1e-3)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    assert reloaded.evaluate(x, y, batch_size=60, verbose=0)[1] == pytest.approx(values[1])


def test_config_round_trip():
    auc = AUC(num_thresholds=300, from_logits=True, num_labels=5, average=None, name="tasks")
    copy = AUC.from_config(auc.get_config())
    assert copy.get_config() == auc.get_config()
    assert copy.histogram.shape == (2, 2, 5, 512)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_thresholds": 1}, "`num_thresholds` must be an integer of at least 2"),
        ({"num_labels": 0}, "`num_labels` must be an integer of at least 1"),
        ({"average": "micro"}, "`average` must be one of 'macro', None"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AUC(**arguments)


def test_predictions_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"num_labels=3\. Received: y_pred\.shape=\(4, 2\)"):
        AUC(num_labels=3).update_state(np.ones((4, 2)), np.ones((4, 2)))
