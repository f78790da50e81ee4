"""Warm-up requests: what TF Serving replays after loading a version, before it takes traffic."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_mtl.serving.server import Request

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST = 1000  # a server refuses a file of more


class WarmupRequest(NamedTuple):
    """A request, and what was answered when it was written."""

    request: Request
    outputs: Mapping[str, np.ndarray]


def prediction_log() -> Any:
    """The module of TF Serving's `PredictionLog`.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise ImportError(
            "Warm-up requests need the package tensorflow-serving-api: "
            'pip install "keras-mtl[serving]".'
        ) from error
    return prediction_log_pb2


def write_warmup(folder: Path, model_name: str, records: Iterable[WarmupRequest]) -> None:
    """Writes the records into an export's folder, each as a `PredictionLog`."""
    import tensorflow as tf

    protos = prediction_log()
    path = folder / FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as file:
        for record in records:
            log = protos.PredictionLog()
            for predict in (log.predict_log.request, log.predict_log.response):
                predict.model_spec.name = model_name
                predict.model_spec.signature_name = record.request.signature
            _fill(log.predict_log.request.inputs, record.request.inputs)
            _fill(log.predict_log.response.outputs, record.outputs)
            file.write(log.SerializeToString())


def read_warmup(folder: Path) -> list[WarmupRequest]:
    """The requests for `Predict` in an export, none if it has no such file.

    Raises:
        ValueError: If the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    log = prediction_log().PredictionLog
    try:
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        logs = [log.FromString(record) for record in records]
    except (tf.errors.OpError, DecodeError) as error:
        raise ValueError(f"The warm-up requests are damaged. Received: {path}") from error
    return [_record(log.predict_log) for log in logs if log.HasField("predict_log")]


def _record(predict_log: Any) -> WarmupRequest:
    request, response = predict_log.request, predict_log.response
    # TF Serving's default, where a request names none
    signature = request.model_spec.signature_name or "serving_default"
    return WarmupRequest(Request(signature, _arrays(request.inputs)), _arrays(response.outputs))


def _fill(tensors: Any, arrays: Mapping[str, np.ndarray]) -> None:
    import tensorflow as tf

    for name, array in arrays.items():
        string = tf.string if array.dtype == object else None  # not to be seen in an empty array
        tensors[name].CopyFrom(tf.make_tensor_proto(array, string))


def _arrays(tensors: Any) -> dict[str, np.ndarray]:
    import tensorflow as tf

    return {name: tf.make_ndarray(tensor) for name, tensor in tensors.items()}
