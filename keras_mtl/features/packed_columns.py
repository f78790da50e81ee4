"""What `encode` returns: a dict of arrays that remembers which table's ids it holds."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:

    class PackedColumns(OrderedDict[str, np.ndarray]):
        """Packed arrays by name of input, with the `fingerprint` of the table that encoded them."""

        fingerprint: str | None

else:
    # Libraries of trees take a dict and an `OrderedDict` for the same structure, and a subclass of
    # either for a leaf. Of the two, only an `OrderedDict` can bear an attribute.
    PackedColumns = OrderedDict


def pack(arrays: Mapping[str, np.ndarray], fingerprint: str) -> PackedColumns:
    """The arrays in one dict, with the fingerprint of the table that encoded them.

    `copy.copy` and `pickle` keep the fingerprint; another dict made from it, such as a map over a
    tree gives, has none, and is taken for what its ids say.
    """
    # By name, as trees sort the keys of a dict but not of an `OrderedDict`.
    packed = PackedColumns((name, arrays[name]) for name in sorted(arrays))
    packed.fingerprint = fingerprint
    return packed


def fingerprint_of(x: Any) -> str | None:
    """The fingerprint of the table that encoded `x`; None where nothing tells."""
    return getattr(x, "fingerprint", None) if isinstance(x, OrderedDict) else None
