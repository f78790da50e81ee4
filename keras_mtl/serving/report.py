"""What a check of an export says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mtl.serving.export_folder import Signature

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Check:
    """One property of an export, and what is wrong with it, a sentence each."""

    property: str
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = f": {'; '.join(self.problems)}" if self.problems else ""
        return f"{'failed' if self.problems else 'passed'}  {self.property}{found}"


@dataclass(frozen=True)
class ExportReport:
    """What `check_export` found.

    Args:
        folder: The version that was checked.
        signatures: By name, each with `inputs` and `outputs`, `tf.TensorSpec`s by name.
        checks: One a property; `str` of it is its line.

    Example:

    >>> ExportReport(Path("export/1"), {}, ()).passed
    True
    """

    folder: Path
    signatures: Mapping[str, Signature]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not any(check.problems for check in self.checks)

    def rows(self) -> list[tuple[str, ...]]:
        """Signature, input or output, name, dtype and shape of everything that is served."""
        return [
            (name, side, spec.name, spec.dtype.name, shape_of(spec))
            for name, signature in self.signatures.items()
            for side, specs in (("input", signature.inputs), ("output", signature.outputs))
            for spec in specs.values()
        ]


def shape_of(spec: "tf.TensorSpec") -> str:
    """`(B, 3)`: B for a batch of any size, ? for other axes of any size."""
    if spec.shape.rank is None:
        return "unknown"
    first, *others = ["?" if axis is None else str(axis) for axis in spec.shape] or [""]
    axes = ["B" if first == "?" else first, *others]
    return f"({', '.join(axes)}{',' if len(axes) == 1 and first else ''})"
