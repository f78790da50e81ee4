"""Answers one request from a SavedModel as TF Serving does; run as a script, imports no Keras.

    python -P serve_once.py EXPORT REQUEST.npz ANSWER.npz

A server knows the tag `serve` and the names in a signature, and runs a session on them: nothing
else is used.
"""

import sys

import numpy as np
import tensorflow as tf


def main(export: str, request: str, answer: str) -> None:
    """Loads the model, feeds the arrays of the request, writes the outputs."""
    with np.load(request) as file:
        arrays = {name: file[name] for name in file.files}
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], export)
        signature = loaded.signature_def["serving_default"]
        feeds = {info.name: arrays[name] for name, info in signature.inputs.items()}
        fetches = {name: info.name for name, info in signature.outputs.items()}
        outputs = session.run(fetches, feeds)
    foreign = {"keras", "keras_mtl"} & sys.modules.keys()
    if foreign:
        raise RuntimeError(f"A server must not import {sorted(foreign)}")
    np.savez(answer, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
