"""The fingerprint of a table, kept beside the weights that embed its ids."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

_KEY = "table"


def keep(fingerprint: str, store: MutableMapping[str, Any]) -> None:
    """Puts a table's fingerprint into a store of weights, which takes arrays alone."""
    store[_KEY] = np.frombuffer(fingerprint.encode(), "uint8")


def check(fingerprint: str, store: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what else is in a store of weights; one without fingerprint tells nothing.

    Raises:
        ValueError: If the weights are those of another table.
    """
    rest = {key: store[key] for key in store.keys()}  # noqa: SIM118 (Keras' store has no __iter__)
    if _KEY in rest:
        compare([fingerprint], [rest.pop(_KEY).tobytes().decode()])
    return rest


def compare(fingerprints: list[str], saved: list[str]) -> None:
    """Raises `ValueError` unless a model's tables are those of saved weights."""
    if fingerprints != saved:
        raise ValueError(
            "Weights must be those of the model's table: rows of embeddings lie by id, and other "
            "columns or vocabularies give other ids. Make the table from the old one's config, or "
            "train anew. Expected: a table with fingerprint "
            f"{', '.join(fingerprints) or 'of none'}. "
            f"Received: weights of a table with fingerprint {', '.join(saved) or 'of none'}"
        )
