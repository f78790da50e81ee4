"""A signature of a SavedModel, run as TF Serving runs it: a session on the names it gives."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf


class Signature:
    """A loaded signature and the columns that its inputs are cut from.

    Args:
        export: folder of the SavedModel.
        name: the signature.
        columns: whole arrays by input.
    """

    def __init__(self, export: Path, name: str, columns: Mapping[str, np.ndarray]) -> None:
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default():
            loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(export))
        signature = loaded.signature_def[name]
        self._columns = [
            columns[key].astype(tf.as_dtype(info.dtype).as_numpy_dtype)
            for key, info in signature.inputs.items()
        ]
        # The names are looked up once, as a server does, and not in every request.
        self._call = session.make_callable(
            [info.name for info in signature.outputs.values()],
            feed_list=[info.name for info in signature.inputs.values()],
        )

    def request(self, rows: slice) -> list[np.ndarray]:
        """The inputs of some rows, each in memory of its own."""
        return [column[rows].copy() for column in self._columns]

    def answer(self, request: list[np.ndarray]) -> list[np.ndarray]:
        """What the signature gives."""
        return self._call(*request)
