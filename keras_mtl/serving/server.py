"""A server for as long as some requests take: a fresh process without Keras."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

SCRIPT = Path(__file__).with_name("server_process.py")
TIMEOUT = 900  # seconds, for an export that never loads


class Request(NamedTuple):
    """Arrays by input name, for one signature."""

    signature: str
    inputs: Mapping[str, np.ndarray]


class Answer(NamedTuple):
    """Arrays by output name; none where `error` says why."""

    outputs: dict[str, np.ndarray]
    error: str | None


def answer(export: Path, requests: Iterable[Request]) -> list[Answer]:
    """What a server that has loaded `export` answers to each request.

    Raises:
        ValueError: If it does not load.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "requests", Path(folder) / "answers"
        asked.write_bytes(pickle.dumps([tuple(request) for request in requests]))
        # -P keeps the script's folder, whose module names are ours, off the import path.
        command = [sys.executable, "-P", str(SCRIPT), str(export), str(asked), str(answered)]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                env=_environment(),
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise ValueError(
                f"The export must load and answer within {TIMEOUT} seconds. Received: {export}"
            ) from error
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            reason = lines[-1] if lines else f"the process ended with {done.returncode}"
            raise ValueError(
                f"The export does not load as TF Serving loads it: {reason} Received: {export}"
            )
        return [Answer(*pair) for pair in pickle.loads(answered.read_bytes())]


def _environment() -> dict[str, str]:
    """No GPU: whoever asks may hold all of its memory."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
