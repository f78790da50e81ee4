"""Slots: the last but one axis, which tells tasks or experts apart, and how to compute few of them.

A server that asks for one task needs one slot of every stack. A layer with a slot axis lets a
caller choose slots; each layer knows which slots of its input those depend on.
"""

from typing import Any, Protocol, runtime_checkable

from keras import ops

Slots = tuple[int, ...] | None
"""Indices of slots, or `None` for all of them in their order."""


@runtime_checkable
class SlotLayer(Protocol):
    """A layer from one tensor to (..., S, U) that can compute some of the S slots alone.

    `layer(x, slots=slots)` gives `layer(whole)[..., slots, :]`, where `x` holds the slots
    `layer.source_slots(slots)` of the whole input, or is the whole input where that is `None`. It
    is for inference, and for tensors: a symbolic call has the shape of all slots.
    """

    def __call__(self, inputs: Any, *, slots: Slots = None) -> Any:
        """Returns the outputs of `slots`, in that order."""

    def source_slots(self, slots: Slots) -> Slots:
        """The slots of the input that the outputs `slots` are computed from."""


def take_slots(stack: Any, slots: Slots, axis: int = 0) -> Any:
    """Returns `slots` of a stack along an axis; the stack itself where those are all of it."""
    if slots is None or slots == tuple(range(stack.shape[axis] or 0)):
        return stack
    if slots == tuple(range(slots[0], slots[-1] + 1)):  # a slice is cheaper than a gather
        before = (slice(None),) * (axis % len(stack.shape))
        return stack[(*before, slice(slots[0], slots[-1] + 1))]
    return ops.take(stack, slots, axis=axis)


def read_slots(x: Any, held: Slots, wanted: Slots) -> Any:
    """Returns the slots `wanted` of an `x` (..., S, D) that holds the slots `held` of a whole."""
    if held is not None and wanted is not None:
        wanted = tuple(held.index(slot) for slot in wanted)
    return take_slots(x, wanted, axis=-2)
