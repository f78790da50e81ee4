"""What Python says of ways that will go: users' own tests may make errors of it."""

import warnings

import keras
import numpy as np
import pytest

from keras_mtl import Task, features, zoo
from keras_mtl.serving import check_export

ROWS = 40
TASKS = ["a", Task("b", "regression"), Task("c", given="a")]


@pytest.fixture(autouse=True)
def strict():
    """Errors, also of what setup.cfg lets pass, since Keras' own files bring it about."""
    with warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("error", category)
        yield


def columns(rng):
    words = np.empty(ROWS, object)
    words[:] = [["x", "y"][: row % 3] for row in range(ROWS)]
    age = np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS))
    return {"city": rng.choice(["Rome", "Oslo", ""], ROWS), "age": age, "words": words}


def labels(rng):
    a, c = rng.integers(0, 2, (2, ROWS))
    return {"a": a, "b": rng.normal(size=ROWS), "c": np.where(a == 1, c, -1)}


def table(raw):
    kinds = [features.Category("city"), features.Numeric("age", bins=3)]
    kinds.append(features.Sequence("words", max_length=2))
    return features.TabularFeatures(kinds, embedding_dim=2).adapt(raw)


def test_adapt_encode_fit_evaluate_and_predict_use_no_way_that_will_go():
    rng = np.random.default_rng(0)
    raw, y = columns(rng), labels(rng)
    encoder = table(raw)
    x = encoder.encode(raw)
    model = zoo.moe(encoder, TASKS, num_experts=3, expert_units=4, tower_units=4, seed=0)
    model.compile("adam")
    model.fit(x, y, batch_size=8, validation_data=(x, y), verbose=0)
    assert np.isfinite(model.evaluate(x, y, verbose=0, return_dict=True)["loss"])
    assert model.predict(x, verbose=0)["a"].shape == (ROWS, 1)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports need TensorFlow")
def test_export_and_check_export_use_no_way_that_will_go(tmp_path):
    rng = np.random.default_rng(0)
    raw = columns(rng)
    model = zoo.shared_bottom(table(raw), TASKS, bottom_units=4, tower_units=4, seed=0)
    model.export(str(tmp_path / "model" / "1"), verbose=False)
    assert check_export(tmp_path / "model").passed
