"""A thousand real rows through TF Serving's own messages, against `model.predict`."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from keras_mtl import features, zoo
from tests.serving.served import as_sent, serialized, serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "KERAS_MTL_DATA" not in os.environ,
        reason="needs Census-Income: set KERAS_MTL_DATA to the folder that holds census_income/",
    ),
]

SIGNATURES = ("serving_default", "packed", "examples", "income")


@pytest.fixture(scope="module")
def data():
    from keras_mtl.datasets import census_income

    return census_income.load()


@pytest.fixture(scope="module")
def rows(data):
    """The first rows of the test half, with gaps and with values that were never seen."""
    raw = {name: column[:1000].copy() for name, column in data.test.columns.items()}
    generator = np.random.default_rng(0)
    for name, column in raw.items():
        drawn = generator.random(1000)
        if name in data.numeric:
            column[drawn < 0.1] = np.nan
        else:
            column[drawn < 0.1] = "Atlantis"
            column[drawn > 0.9] = ""
    return raw


@pytest.fixture(scope="module")
def model(data):
    """Half of the numbers in bins, half standardised; trained, so that no embedding is zero."""
    numbers = [
        features.Numeric(name, bins=16 if place % 2 else None)
        for place, name in enumerate(data.numeric)
    ]
    table = features.TabularFeatures(numbers, categorical=data.categorical, seed=0)
    part = {name: column[:5000] for name, column in data.train.columns.items()}
    packed = table.adapt(part).encode(part)
    model = zoo.mmoe(
        table, list(data.train.labels), num_experts=3, expert_units=16, tower_units=8, seed=0
    )
    model.compile(keras.optimizers.Adam(0.01))
    labels = {task: values[:5000] for task, values in data.train.labels.items()}
    model.fit(packed, labels, epochs=1, batch_size=500, verbose=0)
    return model


def parsed(message):
    """The same message after a journey in bytes."""
    return type(message).FromString(message.SerializeToString())


def predict_request(signature, arrays):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "census", signature
    for name, array in arrays.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


def predict_response(request, outputs):
    response = predict_pb2.PredictResponse()
    response.model_spec.CopyFrom(request.model_spec)
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
    return response


@pytest.fixture(scope="module")
def responses(model, rows, tmp_path_factory):
    """What a client of TF Serving gets, by signature."""
    path = tmp_path_factory.mktemp("census") / "1"
    model.export(path, verbose=False)
    raw = {name: as_sent(column) for name, column in rows.items()}
    sent = dict.fromkeys(SIGNATURES, raw) | {
        "packed": model.features.encode(rows),
        "examples": {"examples": serialized(rows)},
    }
    requests = {name: parsed(predict_request(name, arrays)) for name, arrays in sent.items()}
    received = {
        name: (
            request.model_spec.signature_name,
            {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()},
        )
        for name, request in requests.items()
    }
    answers = serve(path, received)
    return {name: parsed(predict_response(requests[name], answers[name])) for name in requests}


def test_the_rows_hold_unseen_and_missing_values(model, rows):
    packed = model.features.encode(rows)
    assert all(np.mean(packed["categorical"] == special) > 0.03 for special in (0, 1))
    missing = np.mean([np.isnan(rows[name]).mean() for name in rows if rows[name].dtype != object])
    assert 0.05 < missing < 0.2


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_thousand_rows_are_answered_as_predict_answers(signature, responses, model, rows):
    expected = model.predict(model.features.encode(rows), batch_size=1000, verbose=0)
    response = responses[signature]
    assert response.model_spec.signature_name == signature
    tasks = ["income"] if signature == "income" else sorted(expected)
    assert sorted(response.outputs) == tasks
    for task in tasks:
        found = tf.make_ndarray(response.outputs[task])
        assert found.shape == (1000, 1)
        assert np.std(found) > 0.01
        np.testing.assert_allclose(found, expected[task], rtol=0, atol=1e-6)
