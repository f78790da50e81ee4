"""Raw columns on disk, as clients of a server send them; needs numpy alone to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FILE = "raw_rows.npz"


@dataclass(frozen=True)
class RawRows:
    """Columns (B,): strings as an array of bytes, the rest as numbers."""

    columns: dict[str, np.ndarray]

    @classmethod
    def of(cls, columns: Mapping[str, Any]) -> "RawRows":
        """From arrays of text or numbers; missing text is the empty string."""
        return cls({name: _served(np.asarray(values)) for name, values in columns.items()})

    def write(self, folder: Path) -> None:
        """Writes what `read` reads."""
        arrays: dict[str, Any] = dict(self.columns)
        np.savez(folder / FILE, **arrays)

    @classmethod
    def read(cls, folder: Path) -> "RawRows":
        """The rows of a folder."""
        with np.load(folder / FILE) as stored:
            return cls(dict(stored))


def _served(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "OU":
        return values
    return np.array([b"" if value is None else value.encode() for value in values.tolist()])
