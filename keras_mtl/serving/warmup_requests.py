"""Sample rows -> the requests that warm a server up, and their answers."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_mtl.serving.arrays import as_array
from keras_mtl.serving.server import Request
from keras_mtl.serving.tf_examples import EXAMPLES, as_examples, held_in_examples
from keras_mtl.serving.warmup import MOST, WarmupRequest

if TYPE_CHECKING:
    import tensorflow as tf

Arrays = dict[str, np.ndarray]


class SampleInputs(NamedTuple):
    """Sample rows as signatures take them: raw columns, as examples hold them, packed."""

    raw: Arrays
    held: Arrays
    packed: Arrays

    def of(self, signature: str) -> Arrays:
        """The inputs of one signature."""
        if signature == EXAMPLES:
            return {EXAMPLES: as_examples(self.held)}
        return self.packed if signature == "packed" else self.raw


def sample_inputs(table: Any, specs: "Mapping[str, tf.TensorSpec]", samples: Any) -> SampleInputs:
    """Sample rows as users hold them -> arrays as a client sends them.

    Args:
        table: The model's `TabularFeatures`, or None.
        specs: of the model's own inputs.
        samples: Raw columns of the table, or the model's own inputs.

    Raises:
        ValueError: If names, shapes or numbers of rows are not what the model takes.
    """
    if table is None:
        packed = raw = held = _own_inputs(specs, samples)
    else:
        packed = table.encode(samples)
        columns = table.serving_signature()
        raw = {name: as_array(name, samples[name], spec) for name, spec in columns.items()}
        held = held_in_examples(table, raw)
    rows = {name: len(array) for name, array in packed.items()}
    if len(set(rows.values())) != 1 or not all(rows.values()):
        raise ValueError(
            f"Argument `samples` must hold rows, as many for each input. Received: rows={rows}"
        )
    return SampleInputs(raw, held, packed)


def recorded(
    functions: Mapping[str, Callable[..., Any]], inputs: SampleInputs
) -> Iterator[WarmupRequest]:
    """All rows, then one row, for each signature, as many as a server takes."""
    rows = len(next(iter(inputs.packed.values())))
    sizes = (rows, 1) if rows > 1 else (1,)
    requests = (
        Request(name, {key: array[:size] for key, array in inputs.of(name).items()})
        for size in sizes
        for name in functions
    )
    for request in islice(requests, MOST):
        outputs = functions[request.signature](dict(request.inputs))
        yield WarmupRequest(request, {name: out.numpy() for name, out in outputs.items()})


def _own_inputs(specs: "Mapping[str, tf.TensorSpec]", samples: Any) -> Arrays:
    if not isinstance(samples, Mapping) and len(specs) == 1:
        samples = dict.fromkeys(specs, samples)
    if not isinstance(samples, Mapping) or samples.keys() != specs.keys():
        found = list(samples) if isinstance(samples, Mapping) else type(samples).__name__
        raise ValueError(
            "Argument `samples` must be a dict with the inputs of the model, "
            f"{', '.join(specs)}. Received: {found}"
        )
    arrays = {name: as_array(name, samples[name], spec) for name, spec in specs.items()}
    for name, array in arrays.items():
        if not specs[name].shape.is_compatible_with(array.shape):
            raise ValueError(
                f"Argument `samples` must hold `{name}` of shape {specs[name].shape}. "
                f"Received: shape={array.shape}"
            )
    return arrays
