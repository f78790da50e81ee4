"""Sparse routing as pure functions: who goes where, there and back, and what keeps it balanced.

Tokens N choose K of E experts. A plan lists, for every slot of the experts, the choice that fills
it, and for every choice its slot: each is the inverse of the other. So rows go to the experts and
come back by gathering, and so do their gradients: no row is ever scattered (slow under XLA on a
CPU), and no tensor (N, E, C) exists.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from keras import ops

SPARE = 16  # slots beyond a share; products of so few rows cost little beside reading the kernel


@dataclass(frozen=True)
class Plan:
    """Which choice fills which slot; choices are numbered `token * K + k`.

    Attributes:
        choices: for every slot the choice that fills it, (R, C), any one where it is empty.
        filled: whether the slot is filled, (R, C).
        slots: for every choice its slot `r * C + c`, (N, K), any one of its expert if dropped.
        kept: whether the choice has a slot, (N, K).
        experts: the expert that owns each row of slots, (R,); None where row r is expert r's.
    """

    choices: Any
    filled: Any
    slots: Any
    kept: Any
    experts: Any = None


@dataclass(frozen=True)
class Queue:
    """The choices of all tokens, sorted by group, expert, rank of the choice and token.

    Attributes:
        order: choices in that order, (N * K,).
        starts: where the choices of each group and expert start in it, (G, E).
        counts: number of choices of each group and expert, (G, E).
        positions: place of every choice among those of its group and expert, (N, K).
        experts: the expert of every choice, (N, K); E for tokens that are not routed.
    """

    order: Any
    starts: Any
    counts: Any
    positions: Any
    experts: Any


def top_k(scores: Any, k: int) -> tuple[Any, Any]:
    """The k highest scores and who has them, best first; of equal ones the lower index first."""
    values, indices = ops.top_k(scores, k)
    return values, ops.cast(indices, "int32")  # (N, K) each


def expert_capacity(
    tokens: Any, num_experts: int, top_k: int, factor: float, minimum: int = 1
) -> Any:
    """Slots that an expert has in a group: `C = floor(factor * K * tokens / E)`.

    At least `minimum`, and never more than there are tokens.

    Args:
        tokens: tokens of a group, an integer or a scalar tensor.
        num_experts: number of experts E.
        top_k: experts that a token chooses, K.
        factor: capacity factor.
        minimum: least capacity.
    """
    # As a fraction: the same integer whether tokens are known when the graph is made or not.
    share = Fraction(factor).limit_denominator(10**6) * top_k / num_experts
    if isinstance(tokens, int):
        return min(max(tokens * share.numerator // share.denominator, minimum), tokens)
    wide = ops.cast(tokens, "int64") * share.numerator // share.denominator
    return ops.minimum(ops.maximum(ops.cast(wide, "int32"), minimum), tokens)


def queue_up(experts: Any, num_experts: int, num_groups: int = 1, mask: Any = None) -> Queue:
    """Lines the choices up before their experts: all first choices in order of tokens, and so on.

    Args:
        experts: chosen experts (N, K), best first.
        num_experts: number of experts E.
        num_groups: number of groups G, of N / G consecutive tokens each.
        mask: which tokens are routed (N,); None for all.
    """
    rows, choices = ops.shape(experts)[0], experts.shape[1]
    size = rows // num_groups
    if mask is not None:
        experts = ops.where(mask[:, None], experts, num_experts)  # (N, K)
    keys = ops.reshape(experts, (num_groups, size, choices))  # (G, N/G, K)
    # The rank of the choice before the token: first choices find room before second ones.
    keys = ops.reshape(ops.transpose(keys, (0, 2, 1)), (num_groups, -1))  # (G, K * N/G)
    group = ops.arange(num_groups, dtype="int32")[:, None]  # (G, 1)
    below = count_below(keys, ops.arange(num_experts + 2, dtype="int32"))  # (G, E + 2)
    before = group * (choices * size)  # (G, 1)
    starts = below[:, : num_experts + 1] + before  # (G, E + 1), with the tokens that are not routed
    keys = ops.reshape(keys + group * (num_experts + 1), (-1,))  # (G * K * N/G,)
    order = ops.argsort(keys)  # equal keys stay in their order
    ranks = ops.argsort(order)  # the inverse of a permutation, without scattering
    positions = ranks - ops.take(ops.reshape(starts, (-1,)), keys)  # (G * K * N/G,)
    positions = ops.reshape(positions, (num_groups, choices, size))
    return Queue(
        order=_token_major(order, size, choices),
        starts=below[:, :num_experts] + before,
        counts=below[:, 1 : num_experts + 1] - below[:, :num_experts],
        positions=ops.reshape(ops.transpose(positions, (0, 2, 1)), (-1, choices)),
        experts=experts,
    )


def count_below(values: Any, bounds: Any) -> Any:
    """How many of the values are less than each bound: (..., N), (R,) -> (..., R).

    A `searchsorted` takes less work, but ONNX has none.
    """
    # An index with an ellipsis would be a slice that ONNX refuses.
    less = ops.expand_dims(values, -2) < bounds[:, None]  # (..., R, N)
    return ops.sum(ops.cast(less, "int32"), axis=-1)


def _token_major(order: Any, size: Any, choices: int) -> Any:
    """Numbers of choices counted by group, rank and token, as `token * K + k`."""
    if choices == 1:
        return order
    group, within = order // (choices * size), order % (choices * size)
    return (group * size + within % size) * choices + within // size


def capacity_plan(queue: Queue, capacity: Any) -> Plan:
    """Every expert has `capacity` slots a group: who comes later is dropped.

    A row of slots is an expert's, (E, G * C).
    """
    num_groups, num_experts = queue.counts.shape
    place = ops.arange(capacity, dtype="int32")  # (C,)
    starts, counts = (ops.transpose(x)[..., None] for x in (queue.starts, queue.counts))
    filled = place < counts  # (E, G, C)
    choices = ops.take(queue.order, ops.where(filled, starts + place, 0))  # (E, G, C)
    rows = ops.shape(queue.experts)[0]
    group = (ops.arange(rows, dtype="int32") // (rows // num_groups))[:, None]  # (N, 1)
    kept = (queue.positions < capacity) & (queue.experts < num_experts)  # (N, K)
    owner = ops.minimum(queue.experts, num_experts - 1) * num_groups + group  # (N, K)
    slots = owner * capacity + ops.where(kept, queue.positions, 0)  # (N, K)
    flat = (num_experts, -1)
    return Plan(ops.reshape(choices, flat), ops.reshape(filled, flat), slots, kept)


def generous_capacity(queue: Queue) -> tuple[Any, Any]:
    """Slots for 1.5 times an expert's average of all choices, and `SPARE`; whether to use them.

    That is where all choices find room: `block_plan` has about as many slots, and copies kernels.
    But blocks of few choices copy fewer kernels than a product of all experts reads.
    """
    num_experts = queue.counts.shape[1]
    total = ops.shape(queue.order)[0]
    capacity = _least(3 * total // (2 * num_experts) + SPARE, total)
    enough = 2 * total >= num_experts
    return capacity, ops.logical_and(enough, ops.all(queue.counts <= capacity))


def block_plan(queue: Queue) -> Plan:
    """Slots for every choice, however uneven, in blocks of C that belong to one expert each.

    The queue is one group. Each expert's line is padded to whole blocks: `ceil(n_e / C)`, of which
    all experts together never need more than `(N K + (C - 1) min(E, N K)) / C`. There are always
    so many, so shapes are static; with `C = N K / 2E + 16` about 1.5 N K + 16 E slots.
    """
    num_experts = queue.counts.shape[1]
    starts, counts = queue.starts[0], queue.counts[0]  # (E,), one group
    total = ops.shape(queue.order)[0]
    size, blocks = _blocks(total, num_experts)
    needed = (counts + size - 1) // size  # (E,)
    ends = ops.cumsum(needed)  # (E,)
    block = ops.arange(blocks, dtype="int32")  # (R,)
    experts = count_below(ends, block + 1)  # those whose blocks have ended before
    experts = ops.minimum(experts, num_experts - 1)  # (R,)
    before = (block - ops.take(ends - needed, experts)) * size  # (R,)
    place = before[:, None] + ops.arange(size, dtype="int32")  # (R, C)
    filled = place < ops.take(counts, experts)[:, None]  # (R, C)
    first = ops.take(starts, experts)[:, None]  # (R, 1)
    choices = ops.take(queue.order, ops.where(filled, first + place, 0))  # (R, C)
    kept = queue.experts < num_experts  # (N, K)
    owner = ops.minimum(queue.experts, num_experts - 1)  # (N, K)
    slots = ops.take(ends - needed, owner) * size + ops.where(kept, queue.positions, 0)
    # The first block of an expert without choices may lie beyond the last one.
    slots = ops.where(kept, slots, 0)  # (N, K)
    return Plan(choices, filled, slots, kept, experts)


def _blocks(total: Any, num_experts: int) -> tuple[Any, Any]:
    """Size and number of the blocks for so many choices."""
    size = total // (2 * num_experts) + SPARE
    return size, (total + (size - 1) * _least(num_experts, total)) // size


def _least(one: Any, other: Any) -> Any:
    """The lesser number: an integer if both are, so that shapes stay static."""
    known = isinstance(one, int) and isinstance(other, int)
    return min(one, other) if known else ops.minimum(one, other)


def dispatch(tokens: Any, plan: Plan) -> Any:
    """The rows of the tokens in their slots: (N, D) -> (R, C, D); empty slots hold any token's."""
    choices = plan.slots.shape[1]
    rows = ops.reshape(plan.choices // choices, (-1,))  # (R * C,)

    def there(x: Any, rows: Any, _: Any, __: Any) -> Any:
        return ops.take(x, rows, axis=0)  # (R * C, D)

    def back(slopes: Any, _: Any, slots: Any, kept: Any) -> Any:
        return _sum_of_choices(_read(slopes, slots, kept), choices)  # (N, D)

    y = _with_gradient(there, back, tokens, rows, plan.slots, plan.kept)
    return ops.reshape(y, (*ops.shape(plan.choices), tokens.shape[-1]))  # (R, C, D)


def combine(outputs: Any, weights: Any, plan: Plan) -> Any:
    """The weighted sum of every token's outputs: (R, C, U), (N, K) -> (N, U).

    What was dropped counts as zero; weights are used as they are. An empty slot has no gradient.
    """

    def there(y: Any, slots: Any, kept: Any, _: Any, __: Any) -> Any:
        return _read(y, slots, kept)  # (N * K, U)

    def back(slopes: Any, _: Any, __: Any, choices: Any, filled: Any) -> Any:
        filled = ops.cast(ops.reshape(filled, (-1, 1)), slopes.dtype)  # (R * C, 1)
        return ops.take(slopes, ops.reshape(choices, (-1,)), axis=0) * filled  # (R * C, U)

    y = ops.reshape(outputs, (-1, outputs.shape[-1]))  # (R * C, U)
    y = _with_gradient(there, back, y, plan.slots, plan.kept, plan.choices, plan.filled)
    y = y * ops.cast(ops.reshape(weights, (-1, 1)), y.dtype)  # (N * K, U)
    return _sum_of_choices(y, plan.slots.shape[1])


def _read(rows: Any, slots: Any, kept: Any) -> Any:
    """The slot of every choice, zero where it has none: (R * C, U) -> (N * K, U)."""
    read = ops.take(rows, ops.reshape(slots, (-1,)), axis=0)
    return ops.where(ops.reshape(kept, (-1, 1)), read, 0)


def _sum_of_choices(rows: Any, choices: int) -> Any:
    """(N * K, U) -> (N, U)."""
    if choices == 1:
        return rows
    return ops.sum(ops.reshape(rows, (-1, choices, rows.shape[-1])), axis=1)


def owned(weight: Any, experts: Any) -> Any:
    """The weight of each row's expert: (E, ...), (R,) -> (R, ...); the weight itself for None.

    Its gradient has an expert once. TensorFlow's own is sparse and has it as often as it has rows,
    of which optimizers take the squares one by one. The optimizer's hook, which sums rows of
    tables, cannot do it here: a plain `keras.Model` has none.
    """
    if experts is None:
        return weight
    num_experts = weight.shape[0]

    def there(x: Any, experts: Any) -> Any:
        return ops.take(x, experts, axis=0)

    def back(slopes: Any, experts: Any) -> Any:
        return ops.segment_sum(slopes, experts, num_segments=num_experts)

    # The cast reads the weight: a function of a variable would have to return its gradient too.
    return _with_gradient(there, back, ops.cast(weight, weight.dtype), experts)  # (R, ...)


def _with_gradient(
    there: Callable[..., Any], back: Callable[..., Any], x: Any, *indices: Any
) -> Any:
    """`there(x, *indices)`, whose gradient in x is `back(slopes, *indices)`.

    Both get the indices, since within a branch JAX lets neither see what it was not given.
    """

    @ops.custom_gradient
    def function(x: Any, *indices: Any) -> Any:
        def gradient(*args: Any, upstream: Any = None) -> Any:
            slopes = args[0] if upstream is None else upstream
            return back(slopes, *indices), *[None] * len(indices)

        return there(x, *indices), gradient

    return function(x, *indices)


# --- what keeps experts in balance ---


def squared_variation(values: Any) -> Any:
    """Squared coefficient of variation over the last axis, `var / (mean^2 + 1e-10)`.

    With the variance of a population, as in the authors' code: 1/6 for [1, 2, 3].
    """
    mean = ops.mean(values, axis=-1)
    return ops.var(values, axis=-1) / (ops.square(mean) + 1e-10)


def noisy_top_k_load(clean: Any, noisy: Any, deviations: Any, k: int) -> Any:
    """Smooth load: probabilities (N, E) that a token chooses an expert, were its noise drawn anew.

    `P(x, i) = Phi((clean_i - kth_excluding(noisy, k, i)) / deviation_i)`, where the threshold is
    the k-th greatest of the *noisy* scores of the other experts.

    Args:
        clean: scores without noise (N, E).
        noisy: scores with noise (N, E).
        deviations: standard deviation of the noise (N, E).
        k: number of chosen experts, less than E.
    """
    best, _ = ops.top_k(noisy, k + 1)  # (N, K + 1)
    inside, outside = best[:, k:], best[:, k - 1 : k]  # (N, 1)
    threshold = ops.where(noisy > inside, inside, outside)  # (N, E)
    return 0.5 * (1.0 + ops.erf((clean - threshold) / deviations / math.sqrt(2.0)))


def balance_loss(first_choices: Any, probabilities: Any) -> Any:
    """The Switch loss, `E sum_e f_e P_e`: 1 where all experts are used alike.

    Args:
        first_choices: share of tokens f that chose each expert first (..., E), before any was
            dropped; without gradient.
        probabilities: mean router probability P (..., E).
    """
    num_experts = probabilities.shape[-1]
    return num_experts * ops.sum(ops.stop_gradient(first_choices) * probabilities, axis=-1)


def router_z_loss(logits: Any) -> Any:
    """Squares of the logarithm of the partition function, one a token: (..., E) -> (...,)."""
    return ops.square(ops.logsumexp(logits, axis=-1))


def sum_over_tokens(values: Any, num_groups: int, mask: Any = None) -> Any:
    """Sums over the routed tokens of each group: (N, ...) -> (G, ...)."""
    if mask is not None:
        shape = (-1, *[1] * (len(values.shape) - 1))
        values = ops.where(ops.reshape(mask, shape), values, 0)
    return ops.sum(ops.reshape(values, (num_groups, -1, *values.shape[1:])), axis=1)
