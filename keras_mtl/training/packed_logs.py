"""PackedLogs: a step's logs as one tensor, and back."""

import math
from collections.abc import Mapping
from typing import Any

from keras import ops

from keras_mtl.training import replicas


class PackedLogs:
    """Hands the logs of a compiled step out as one tensor.

    A compiled call with an output for every figure takes minutes to start at hundreds of tasks;
    with one output it does not. Names and shapes are learned while the step is traced.
    """

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}

    def pack(self, logs: Mapping[str, Any]) -> Any:
        """All values in one vector."""
        values = {name: ops.convert_to_tensor(value) for name, value in _flat(logs).items()}
        self._shapes = {name: tuple(value.shape) for name, value in values.items()}
        flat = [ops.reshape(ops.cast(value, "float32"), (-1,)) for value in values.values()]
        return replicas.reducible(ops.concatenate(flat))

    def unpack(self, packed: Any) -> dict[str, Any]:
        """The logs by name, as NumPy views: an operation for each would cost too much."""
        # A multi-worker strategy with one worker hands the row back as it is.
        flat = ops.convert_to_numpy(packed).reshape(-1)
        logs, start = {}, 0
        for name, shape in self._shapes.items():
            end = start + math.prod(shape)
            logs[name] = flat[start:end].reshape(shape)
            start = end
        return logs


def _flat(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs by name: a `train_step` of one's own may hand out a metric's figures as a dict."""
    flat: dict[str, Any] = {}
    for name, value in logs.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat
