"""What `encode` returns: a dict of arrays that remembers which table's ids it holds."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import optree


class PackedColumns(dict[str, np.ndarray]):
    """Packed arrays by name of input, with the `fingerprint` of the table that encoded them.

    A dict in every other respect. `copy`, `pickle` and maps over trees keep the fingerprint; a
    plain dict made from it has none, and is taken for what its ids say.
    """

    # A class attribute: libraries of trees make an empty one and fill it.
    fingerprint: str | None = None

    def copy(self) -> "PackedColumns":
        """The same arrays in another dict."""
        return _of_table(self.fingerprint, self)


def _of_table(fingerprint: str | None, arrays: Any) -> PackedColumns:
    packed = PackedColumns(arrays)
    packed.fingerprint = fingerprint
    return packed


# --- as a tree, whose leaves are the arrays: to libraries of trees a subclass of dict is a leaf ---

Node = tuple[tuple[str, ...], str | None]  # names, fingerprint


def _flatten(packed: PackedColumns) -> tuple[list[Any], Node, tuple[str, ...]]:
    names = tuple(sorted(packed))
    return [packed[name] for name in names], (names, packed.fingerprint), names


def _unflatten(node: Node, leaves: Iterable[Any]) -> PackedColumns:
    names, fingerprint = node
    return _of_table(fingerprint, zip(names, leaves, strict=True))


def _register() -> None:
    """Tells `keras.tree`, which stands on optree, and JAX where it is there."""
    everywhere = vars(optree.registry).get("__GLOBAL_NAMESPACE", "keras")
    optree.register_pytree_node(PackedColumns, _flatten, _unflatten, namespace=everywhere)
    if "jax" in sys.modules:
        jax = sys.modules["jax"]
        jax.tree_util.register_pytree_node(
            PackedColumns, lambda packed: _flatten(packed)[:2], _unflatten
        )


_register()
