"""Answers one request from a SavedModel as TF Serving does; run as a script, without any Keras.

    python -P serve_once.py EXPORT REQUEST.npz ANSWER.npz

A server knows the tag `serve` and the names in a signature, and runs a session on them: nothing
else is used.
"""

import sys


def main(export: str, request: str, answer: str) -> None:
    """Loads the model, feeds the arrays of the request, writes the outputs."""
    # TensorFlow imports Keras where it finds it; a server has none.
    sys.modules["keras"] = sys.modules["keras_mtl"] = None  # type: ignore[assignment]
    import numpy as np
    import tensorflow as tf

    with np.load(request) as file:
        arrays = {name: file[name] for name in file.files}
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], export)
        signature = loaded.signature_def["serving_default"]
        feeds = {info.name: arrays[name] for name, info in signature.inputs.items()}
        fetches = {name: info.name for name, info in signature.outputs.items()}
        outputs = session.run(fetches, feeds)
    np.savez(answer, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
