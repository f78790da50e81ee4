"""What `encode` returns: a dict of arrays that remembers which table's ids it holds."""

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import optree


class PackedColumns(dict[str, np.ndarray]):
    """Packed arrays by name of input, with the `fingerprint` of the table that encoded them.

    A dict in every other respect. `copy` and `pickle` keep the fingerprint; a plain dict made from
    it, such as a map over a tree gives, has none, and is taken for what its ids say.
    """

    # A class attribute: libraries of trees make an empty one and fill it.
    fingerprint: str | None = None

    def copy(self) -> "PackedColumns":
        """The same arrays in another dict."""
        packed = PackedColumns(self)
        packed.fingerprint = self.fingerprint
        return packed


# --- as a tree, whose leaves are the arrays: to libraries of trees a subclass of dict is a leaf ---


def _flatten(packed: PackedColumns) -> tuple[list[Any], tuple[str, ...], tuple[str, ...]]:
    names = tuple(sorted(packed))
    return [packed[name] for name in names], names, names


def _unflatten(names: tuple[str, ...], leaves: Iterable[Any]) -> dict[str, Any]:
    """A plain dict: Keras warns of inputs that are another type than the model was built on."""
    return dict(zip(names, leaves, strict=True))


def _register() -> None:
    """Tells `keras.tree`, which stands on optree, and JAX where it is there."""
    everywhere = vars(optree.registry).get("__GLOBAL_NAMESPACE", "keras")
    # optree takes a dict for a collection of its keys
    optree.register_pytree_node(
        PackedColumns,
        _flatten,  # type: ignore[arg-type]
        _unflatten,  # type: ignore[arg-type]
        namespace=everywhere,
    )
    if "jax" in sys.modules:
        jax = sys.modules["jax"]
        jax.tree_util.register_pytree_node(
            PackedColumns, lambda packed: _flatten(packed)[:2], _unflatten
        )


_register()
