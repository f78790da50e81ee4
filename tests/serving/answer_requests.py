"""Answers requests from a SavedModel as TF Serving does; run as a script.

    python -P answer_requests.py EXPORT FOLDER

A server knows the tag `serve` and the names in a signature, and runs a session on them.
"""

import sys
from pathlib import Path


def main(export: str, folder: str) -> None:
    # TensorFlow imports Keras where it finds it; a server has none.
    sys.modules["keras"] = sys.modules["keras_mtl"] = None
    import numpy as np
    import tensorflow as tf

    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], export)
        for request in Path(folder).glob("*.request.npz"):
            name, _, tag = request.name.removesuffix(".request.npz").partition("@")
            signature = loaded.signature_def[name]
            with np.load(request) as arrays:
                feeds = {info.name: arrays[key] for key, info in signature.inputs.items()}
            fetches = {key: info.name for key, info in signature.outputs.items()}
            np.savez(request.with_name(f"{tag}.answer.npz"), **session.run(fetches, feeds))


if __name__ == "__main__":
    main(*sys.argv[1:])
