"""Layouts of weights: made in every call, or once for a model that is served.

A served model answers small requests, in which rearranging a kernel can take as long as the product
with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

Layout: TypeAlias = Callable[[Any], Any]
"""A function of a weight alone; the same function each time."""

Store: TypeAlias = Callable[[Any, Layout], Any]

_store: ContextVar[Store | None] = ContextVar("store", default=None)


def laid_out(weight: Any, layout: Layout) -> Any:
    """Returns `layout(weight)`, or what was stored in its place."""
    store = _store.get()
    return layout(weight) if store is None else store(weight, layout)


def is_served() -> bool:
    """Whether layouts are stored: the model answers requests, and nobody asks for its losses."""
    return _store.get() is not None


@contextmanager
def stored_layouts(store: Store) -> Iterator[None]:
    """Has `store(weight, layout)` give the layouts."""
    token = _store.set(store)
    try:
        yield
    finally:
        _store.reset(token)
