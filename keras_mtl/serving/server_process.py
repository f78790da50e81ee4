"""Answers requests from a SavedModel as TF Serving does; run as a script, without any Keras.

    python -P server_process.py EXPORT REQUESTS ANSWERS

A server knows the tag `serve` and the names in a signature, and runs a session on them: nothing
else is used. REQUESTS holds a list of (signature, arrays by input); ANSWERS gets as many pairs
(arrays by output, error or None).
"""

import pickle
import sys
from pathlib import Path
from typing import Any


def main(export: str, requests: str, answers: str) -> None:
    """Loads the model and answers all requests; exits with a line on stderr if it does not load."""
    # TensorFlow imports Keras where it finds it; a server has none.
    sys.modules["keras"] = sys.modules["keras_mtl"] = None  # type: ignore[assignment]
    import tensorflow as tf

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        try:
            signatures = tf.compat.v1.saved_model.load(session, ["serve"], export).signature_def
        except Exception as error:  # a damaged file fails in more ways than TensorFlow documents
            sys.exit(_first_line(error))
        asked = pickle.loads(Path(requests).read_bytes())
        answered = [_answer(session, signatures, *request) for request in asked]
    Path(answers).write_bytes(pickle.dumps(answered))


def _answer(
    session: Any, signatures: Any, name: str, arrays: dict[str, Any]
) -> tuple[dict[str, Any], str | None]:
    try:
        signature = signatures[name]
        feeds = {info.name: arrays[key] for key, info in signature.inputs.items()}
        fetches = {key: info.name for key, info in signature.outputs.items()}
        return session.run(fetches, feeds), None
    except Exception as error:  # the next request may be answered
        return {}, _first_line(error)


def _first_line(error: Exception) -> str:
    reason = str(error).removeprefix("Graph execution error:").strip() or "no reason given"
    return f"{type(error).__name__}: {reason.splitlines()[0]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
