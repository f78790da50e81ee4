"""What layers add as losses, apart for every step.

Keras keeps one list a layer. Replicas trace in threads of their own, which take turns wherever a
step communicates, so that one replica's losses would land in another's step, or be cleared there.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, SupportsIndex

import keras

# Losses of the step under way by the identity of a layer's list; None outside of a step.
_OF_STEP: ContextVar[dict[int, list[Any]] | None] = ContextVar("keras_mtl_losses", default=None)


class LayerLosses(list[Any]):
    """The list of one layer: within a step that step's own, elsewhere itself."""

    def extend(self, losses: Iterable[Any]) -> None:
        """As `add_loss` of Keras uses it."""
        own = self._of_step()
        super().extend(losses) if own is None else own.extend(losses)

    def clear(self) -> None:
        """As Keras uses it at the start of a model's call."""
        own = self._of_step()
        super().clear() if own is None else own.clear()

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        """As `losses` of Keras uses it."""
        own = self._of_step()
        return super().__getitem__(index) if own is None else own[index]

    def _of_step(self) -> list[Any] | None:
        lists = _OF_STEP.get()
        return None if lists is None else lists.setdefault(id(self), [])


def separate_losses(model: keras.Model) -> None:
    """Gives each layer of `model`, however deep, a list that knows steps."""
    for layer in model._flatten_layers():
        if not isinstance(layer._losses, LayerLosses):
            # Not by `setattr`, which would wrap the list for tracking.
            object.__setattr__(layer, "_losses", LayerLosses(layer._losses))


@contextmanager
def own_losses() -> Iterator[None]:
    """Within this context, the losses that layers add are this step's alone."""
    token = _OF_STEP.set({})
    try:
        yield
    finally:
        _OF_STEP.reset(token)
