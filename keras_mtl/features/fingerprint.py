"""A table's fingerprint: what its packed ids and numbers mean, in one short string."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from keras_mtl.features.columns import Column, Numeric, old_encoding

# how rows of embeddings are used, which changes no packed value
EMBEDDING_OPTIONS = ("dim", "pooling")


def fingerprint(columns: Iterable[Column], learned: dict[str, Any]) -> str:
    """A hash of columns, in their order, and of what was learned; equal in every process.

    Args:
        columns: of the table.
        learned: what `Encoding.get_config` gives.
    """
    described = json.dumps([[_describe(column) for column in columns], learned], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()[:32]


def _describe(column: Column) -> list[Any]:
    """Class and options; those at their default are left out, as new ones will be."""
    options = {
        field.name: getattr(column, field.name)
        for field in dataclasses.fields(column)
        if field.name not in EMBEDDING_OPTIONS and getattr(column, field.name) != field.default
    }
    if isinstance(column, Numeric) and column.encoding == old_encoding(column.bins):
        del options["encoding"]  # so fingerprints of earlier files stay what they were
    return [type(column).__name__, options]
