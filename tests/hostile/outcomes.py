"""Either an answer or an error sentence: what the tests of hostile input ask of every call."""

import traceback
from pathlib import Path

import keras_mtl

PACKAGE = str(Path(keras_mtl.__file__).parent)


def refusal(call):
    """The error sentence of `call`, or None where it gives an answer.

    Any error that this package did not raise in words of its own is a failure of the test.
    """
    try:
        call()
    except (ValueError, TypeError) as error:
        raised_by = traceback.extract_tb(error.__traceback__)[-1].filename
        if raised_by.startswith(PACKAGE) and "Received" in str(error):
            return str(error)
        raise AssertionError(f"not a sentence of ours: {type(error).__name__}: {error}") from error
    return None
