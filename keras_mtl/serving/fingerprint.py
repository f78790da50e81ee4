"""The fingerprint that TensorFlow leaves beside a SavedModel: checksums of graph and index."""

from pathlib import Path
from typing import Any

FILE = "fingerprint.pb"
CHECKSUMS = {
    "saved_model_checksum": "saved_model.pb",
    "checkpoint_hash": "variables/variables.index",
}


def write_fingerprint(folder: Path) -> None:
    """Writes the fingerprint of what `folder` holds now."""
    (folder / FILE).write_bytes(_fingerprint(folder).SerializeToString())


def check_fingerprint(folder: Path) -> None:
    """Raises `ValueError` where a file is not the one that was written.

    A folder without a fingerprint, or with that of another TensorFlow's algorithm, tells nothing.
    """
    path = folder / FILE
    if not path.is_file():
        return
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import fingerprint_pb2

    try:
        written = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"The export is damaged. Received: {path}, unreadable") from error
    found = _fingerprint(folder)
    if written.version.producer != found.version.producer:
        return
    changed = [
        name
        for field, name in CHECKSUMS.items()
        if getattr(written, field) != getattr(found, field)
    ]
    if changed:
        raise ValueError(
            "The export is damaged, or was changed after it was written: "
            f"{' and '.join(changed)} must match {FILE}. Received: {folder}, no match"
        )


def _fingerprint(folder: Path) -> Any:
    from tensorflow.core.protobuf import fingerprint_pb2

    # TensorFlow shows how to read a fingerprint, but not how to make one.
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    try:
        made = fingerprinting.CreateFingerprintDef(str(folder))
    except (fingerprinting.FingerprintException, fingerprinting.FileNotFoundException) as error:
        reason = str(error).splitlines()[-1]
        raise ValueError(f"The export is damaged: {reason} Received: {folder}") from error
    return fingerprint_pb2.FingerprintDef.FromString(made)
