"""Warm-up requests: written with the export, read back as a server reads them, replayed."""

import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_mtl import zoo
from keras_mtl.serving import warmup_requests
from keras_mtl.serving.warmup_requests import sample_inputs
from tests.serving.served import TASKS

NAMES = [task.name for task in TASKS]
SIGNATURES = ["serving_default", "packed", "examples", *NAMES]


def records(path):
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(file), buffer_size=1 << 18)
    ]


@pytest.fixture(scope="module")
def logs(exported):
    return records(exported.path)


def test_every_signature_is_asked_for_all_rows_and_for_one(logs):
    asked = [
        (
            log.predict_log.request.model_spec.signature_name,
            {tensor.tensor_shape.dim[0].size for tensor in log.predict_log.request.inputs.values()},
        )
        for log in logs
    ]
    expected = [(name, {size}) for name in SIGNATURES for size in (5, 1)]
    assert sorted(asked, key=str) == sorted(expected, key=str)
    assert {log.WhichOneof("log_type") for log in logs} == {"predict_log"}


def test_recorded_answers_are_what_predict_gives(logs, exported):
    """That a server gives them again, `check-export` finds (`test_check_export.py`)."""
    packed = exported.table.encode(exported.samples)
    expected = exported.model.predict(packed, verbose=0)
    for log in logs:
        signature = log.predict_log.request.model_spec.signature_name
        recorded = log.predict_log.response.outputs
        tasks = [signature] if signature in NAMES else NAMES
        assert set(tasks) == recorded.keys() - {"buy_joint"}
        for task in tasks:
            found = tf.make_ndarray(recorded[task])
            np.testing.assert_allclose(found, expected[task][: len(found)], atol=1e-6)


@pytest.fixture(scope="module")
def small():
    return zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=2, seed=0)


def test_a_model_without_a_table_is_warmed_up_with_its_own_inputs(small, tmp_path):
    rows = np.arange(6.0).reshape(2, 3)
    expected = small.predict(rows, verbose=0)["a"]
    for version, samples in (("1", rows), ("2", {"features": rows.tolist()})):
        small.export(tmp_path / version, verbose=False, samples=samples)
        for log in records(tmp_path / version):
            found = tf.make_ndarray(log.predict_log.response.outputs["a"])
            np.testing.assert_allclose(found, expected[: len(found)], atol=1e-6)


def test_a_dataframe_with_gaps_gives_the_same_requests(exported):
    frame = pd.DataFrame({**exported.samples, "seen": exported.samples["seen"].tolist()})
    frame["city of birth"] = frame["city of birth"].replace("", None)
    frame.loc[0, "zip-code"] = None
    columns = dict(exported.samples)
    columns["zip-code"] = [None, *columns["zip-code"][1:]]
    of_frame, of_columns = (sample_inputs(exported.table, {}, s) for s in (frame, columns))
    for signature in ("serving_default", "packed"):
        for name, array in of_columns.of(signature).items():
            np.testing.assert_array_equal(of_frame.of(signature)[name], array)
            assert of_frame.of(signature)[name].dtype == array.dtype
    assert of_columns.raw["zip-code"][0] == -(2**63)


def test_an_export_without_samples_has_no_such_file(small, tmp_path):
    small.export(tmp_path / "1", verbose=False)
    assert not (tmp_path / "1" / "assets.extra").exists()


def test_a_server_takes_a_thousand(small, tmp_path, monkeypatch):
    assert warmup_requests.MOST == 1000
    monkeypatch.setattr(warmup_requests, "MOST", 5)
    small.export(tmp_path / "1", verbose=False, samples=np.ones((2, 3)))
    sizes = [
        log.predict_log.request.inputs.popitem()[1].tensor_shape.dim[0].size
        for log in records(tmp_path / "1")
    ]
    assert sizes == [2, 2, 2, 2, 1], "every signature comes before one is asked twice"


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.ones((2, 4)), r"must hold `features` of shape \(None, 3\). Received: shape=\(2, 4\)"),
        (np.ones((0, 3)), "must hold rows"),
        ({"feature": np.ones((2, 3))}, r"inputs of the model, features. Received: \['feature'\]"),
    ],
)
def test_samples_that_are_none_are_refused_before_anything_is_written(
    samples, said, small, tmp_path
):
    with pytest.raises(ValueError, match=said):
        small.export(tmp_path / "new" / "1", samples=samples)
    assert list(tmp_path.iterdir()) == []


def test_samples_of_a_table_are_checked_as_encode_checks(exported, tmp_path):
    others = {name: column for name, column in exported.samples.items() if name != "age"}
    with pytest.raises(ValueError, match="Column `age` is missing from the data"):
        exported.model.export(tmp_path / "1", samples=others)
    assert list(tmp_path.iterdir()) == []


def test_other_formats_have_no_warmup(small, tmp_path):
    with pytest.raises(ValueError, match="Argument `samples` needs"):
        small.export(tmp_path / "a.onnx", format="onnx", samples=np.ones((2, 3)))


def test_without_the_package_the_sentence_says_what_to_install(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    with pytest.raises(ImportError, match=r'pip install "keras-mtl\[serving\]"'):
        small.export(tmp_path / "1", samples=np.ones((2, 3)))
    assert list(tmp_path.iterdir()) == []
