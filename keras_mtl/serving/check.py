"""`check_export`: what a server will find in an export, tried before a server finds it."""

import os
from collections.abc import Iterable, Mapping

import numpy as np

from keras_mtl.serving.example_features import integer_features
from keras_mtl.serving.export_folder import Signature, read_graph, read_signatures, version_folder
from keras_mtl.serving.fingerprint import check_fingerprint
from keras_mtl.serving.plain_requests import plain_requests
from keras_mtl.serving.report import Check, ExportReport, shape_of
from keras_mtl.serving.server import Answer, Request, answer
from keras_mtl.serving.stored_variables import read_stored, storage_problems
from keras_mtl.serving.warmup import MOST, WarmupRequest, read_warmup

TOLERANCE = 1e-4


def check_export(path: str | os.PathLike[str]) -> ExportReport:
    """Loads an export as TF Serving does, in a process without Keras, and tries its signatures.

    Checked are: every input and output has a batch dimension; outputs are float32; each signature
    answers plain requests of one row and of three with as many rows, all finite; variables are
    stored once, and only those that a signature reads; warm-up requests, where there are any, are
    answered as the model answered when they were written, to 1e-4.

    Args:
        path: Folder of a SavedModel, or a folder of numbered versions, the highest of which is
            taken.

    Returns:
        An `ExportReport`; `passed` tells whether all is well.

    Raises:
        ValueError: If there is no SavedModel, or one that does not load: cut short, damaged,
            without its variables.
        ImportError: If there are warm-up requests and tensorflow-serving-api is not installed.

    Example:

    >>> import tempfile
    >>> from keras_mtl import zoo
    >>> model = zoo.shared_bottom(4, ["click"], bottom_units=3, tower_units=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.export(f"{folder}/1", verbose=False)
    ...     report = check_export(folder)
    >>> report.passed, sorted(report.signatures)
    (True, ['click', 'examples', 'packed', 'serving_default'])
    >>> print(report.checks[0])
    passed  every input and output has a batch dimension
    """
    folder = version_folder(path)
    graph = read_graph(folder)
    check_fingerprint(folder)
    stored, signatures = read_stored(folder, graph), read_signatures(graph)
    plain = plain_requests(signatures, integer_features(graph))
    warmup = read_warmup(folder)
    requests = [*(request for _, request in plain), *(record.request for record in warmup)]
    answers = answer(folder, requests)
    checks = [
        Check("every input and output has a batch dimension", _fixed_batches(signatures)),
        Check("every output is float32", _other_dtypes(signatures)),
        Check(
            "every signature answers one row and several",
            _wrong_answers(plain, answers[: len(plain)]),
        ),
        Check("variables are stored once", tuple(storage_problems(stored, graph))),
    ]
    if warmup:
        replayed = _wrong_replays(warmup, answers[len(plain) :])
        checks.append(Check(f"{len(warmup)} warm-up requests are answered as recorded", replayed))
    return ExportReport(folder, signatures, tuple(checks))


def _fixed_batches(signatures: Mapping[str, Signature]) -> tuple[str, ...]:
    return tuple(
        f"{name}/{spec.name} is {shape_of(spec)}"
        for name, signature in signatures.items()
        for spec in (*signature.inputs.values(), *signature.outputs.values())
        if spec.shape.rank in (None, 0) or spec.shape[0] is not None
    )


def _other_dtypes(signatures: Mapping[str, Signature]) -> tuple[str, ...]:
    return tuple(
        f"{name}/{spec.name} is {spec.dtype.name}"
        for name, signature in signatures.items()
        for spec in signature.outputs.values()
        if spec.dtype.name != "float32"
    )


def _wrong_answers(
    asked: Iterable[tuple[int, Request]], answers: Iterable[Answer]
) -> tuple[str, ...]:
    return tuple(
        f"{request.signature}, batch size {size}: {problem}"
        for (size, request), answered in zip(asked, answers, strict=True)
        for problem in _answer_problems(answered, size)
    )


def _answer_problems(answered: Answer, size: int) -> list[str]:
    if answered.error:
        return [answered.error]
    problems = []
    for name, values in answered.outputs.items():
        if np.shape(values)[:1] != (size,):
            problems.append(f"{name} has shape {np.shape(values)}")
        elif values.dtype.kind == "f" and not np.all(np.isfinite(values)):
            problems.append(f"{name} is not finite")
    return problems


def _wrong_replays(recorded: list[WarmupRequest], answers: Iterable[Answer]) -> tuple[str, ...]:
    problems = [f"a server takes at most {MOST:,}"] if len(recorded) > MOST else []
    for record, answered in zip(recorded, answers, strict=True):
        others = [
            name for name, values in record.outputs.items() if not _close(answered, name, values)
        ]
        if answered.error or others:
            reason = answered.error or f"{', '.join(others)} is not what was recorded"
            problems.append(f"{record.request.signature}: {reason}")
    return tuple(problems)


def _close(answered: Answer, name: str, expected: np.ndarray) -> bool:
    found = answered.outputs.get(name)
    return (
        found is not None
        and found.shape == expected.shape
        and np.allclose(found, expected, TOLERANCE, TOLERANCE, equal_nan=True)
    )
