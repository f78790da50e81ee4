"""The pure functions of sparse routing: who goes where, there and back, and what balances."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl.layers import routing
from tests.reference import routing as twin


def numpy(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def planned(experts, num_experts, capacity, num_groups=1, mask=None) -> SimpleNamespace:
    """The plan of choices (N, K) as arrays; without drops where the capacity is None."""
    mask = None if mask is None else np.asarray(mask, bool)
    queue = routing.queue_up(np.asarray(experts, "int32"), num_experts, num_groups, mask)
    plan = routing.block_plan(queue) if capacity is None else routing.capacity_plan(queue, capacity)
    found = {name: numpy(getattr(plan, name)) for name in ("choices", "filled", "slots", "kept")}
    owners = np.arange(num_experts) if plan.experts is None else numpy(plan.experts)
    counts = numpy(ops.sum(queue.counts, axis=0))
    return SimpleNamespace(plan=plan, owners=owners, counts=counts, **found)


def random_choices(tokens, num_experts, k, seed) -> np.ndarray:
    generator = np.random.default_rng(seed)
    skewed = generator.normal(size=(tokens, num_experts)) + np.linspace(1, 0, num_experts)
    return np.argsort(-skewed, axis=-1)[:, :k]


def test_of_equal_scores_the_lower_index_comes_first():
    scores = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 2.0, 1.0]], "float32")
    values, indices = routing.top_k(scores, 3)
    np.testing.assert_array_equal(numpy(indices), [[0, 1, 2], [1, 2, 0]])
    np.testing.assert_array_equal(numpy(values), [[0, 0, 0], [2, 2, 1]])


# --- capacity ---


@pytest.mark.parametrize(
    ("tokens", "num_experts", "k", "factor", "minimum", "expected"),
    [
        (64, 8, 1, 1.25, 4, 10),
        (63, 8, 1, 1.25, 4, 9),  # 9.84: floor, not round
        (8, 8, 1, 1.25, 4, 4),  # the minimum
        (3, 8, 1, 1.25, 4, 3),  # but never more than there are tokens
        (64, 8, 2, 1.0, 4, 16),
        (10, 2, 2, 5.0, 1, 10),
        (100, 1, 1, 0.29, 1, 29),  # 28.999999999999996 in floating point
        (10, 3, 1, 0.3, 1, 1),
        (0, 3, 1, 1.0, 4, 0),
    ],
)
def test_capacity_is_the_floor_of_the_share_within_its_bounds(
    tokens, num_experts, k, factor, minimum, expected
):
    arguments = (num_experts, k, factor, minimum)
    assert routing.expert_capacity(tokens, *arguments) == expected
    assert twin.capacity(tokens, *arguments) == expected


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="elsewhere the number is always known"
)
def test_capacity_is_the_same_whether_the_number_of_tokens_is_known_or_not():
    for factor in (0.1, 0.29, 0.7, 1.0, 1.1, 1.25, 1.3, 2.3):
        for tokens in (1, 7, 10, 100, 999, 4096, 100_000):
            for num_experts in (1, 3, 7, 64):
                known = routing.expert_capacity(tokens, num_experts, 2, factor)
                assert known == twin.capacity(tokens, num_experts, 2, factor)
                unknown = ops.convert_to_tensor(tokens)
                assert numpy(routing.expert_capacity(unknown, num_experts, 2, factor)) == known


# --- places ---


def test_every_slot_of_an_expert_is_used():
    """C tokens of one expert are all kept, not C - 1, and the next one is dropped."""
    plan = planned([[1]] * 4, num_experts=3, capacity=3)
    np.testing.assert_array_equal(plan.kept[:, 0], [True, True, True, False])
    np.testing.assert_array_equal(plan.slots[:3, 0], [3, 4, 5])
    np.testing.assert_array_equal(plan.filled, [[False] * 3, [True] * 3, [False] * 3])
    np.testing.assert_array_equal(plan.counts, [0, 4, 0])


def test_first_choices_come_before_second_ones_and_earlier_tokens_before_later_ones():
    # Tokens 0 and 1 ask for expert 0 second, 2 and 3 ask for it first.
    plan = planned([[1, 0], [1, 0], [0, 1], [0, 1]], num_experts=2, capacity=3)
    np.testing.assert_array_equal(
        plan.kept, [[True, True], [True, False], [True, True], [True, False]]
    )


def test_groups_have_slots_of_their_own():
    plan = planned([[0]] * 6, num_experts=2, capacity=2, num_groups=2)
    np.testing.assert_array_equal(plan.kept[:, 0], [True, True, False] * 2)
    assert len(set(plan.slots[plan.kept])) == 4


def test_hidden_tokens_take_no_slots_and_count_for_no_expert():
    mask = np.array([False, True, False, True, True])
    plan = planned([[0]] * 5, num_experts=2, capacity=2, mask=mask)
    np.testing.assert_array_equal(plan.kept[:, 0], [False, True, False, True, False])
    np.testing.assert_array_equal(plan.counts, [3, 0])


def test_dropped_choices_are_counted_for_the_expert_they_asked_for():
    plan = planned([[2], [2], [2], [1]], num_experts=3, capacity=1)
    np.testing.assert_array_equal(plan.counts, [0, 1, 3])


SIZES = [(1, 1, 1), (1, 4, 2), (3, 8, 2), (7, 2, 1), (12, 3, 3), (24, 5, 2), (30, 4, 1), (9, 16, 4)]


@pytest.mark.parametrize(("tokens", "num_experts", "k"), SIZES)
@pytest.mark.parametrize("capacity", [None, 1, 3, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_a_plan_and_its_inverse_are_the_loops(tokens, num_experts, k, capacity, masked):
    for num_groups in (1, 3) if tokens % 3 == 0 and capacity else (1,):
        experts = random_choices(tokens, num_experts, k, seed=tokens)
        mask = np.random.default_rng(tokens).random(tokens) < 0.6 if masked else None
        routed = np.ones(tokens, bool) if mask is None else mask
        found = planned(experts, num_experts, capacity, num_groups, mask)
        size = tokens // num_groups
        expected = np.concatenate(
            [
                twin.with_room(experts[group], tokens if capacity is None else capacity, r)
                for group, r in (
                    (slice(g * size, (g + 1) * size), routed[g * size : (g + 1) * size])
                    for g in range(num_groups)
                )
            ]
        )
        np.testing.assert_array_equal(found.kept, expected)
        load = np.bincount(experts[routed].ravel(), minlength=num_experts)
        np.testing.assert_array_equal(found.counts, load)
        # Each kept choice fills one slot of its own expert, and no other slot is filled.
        width = found.choices.shape[1]
        kept = np.argwhere(found.kept)
        slots = found.slots[found.kept]
        assert len(set(slots)) == len(slots) == found.filled.sum()
        assert found.filled.ravel()[slots].all()
        np.testing.assert_array_equal(found.choices.ravel()[slots], kept[:, 0] * k + kept[:, 1])
        np.testing.assert_array_equal(found.owners[slots // width], experts[found.kept])
        assert found.slots.min() >= 0
        assert found.slots.max() < found.choices.size


@pytest.mark.parametrize(
    "load", [[400, 0, 0, 0], [1, 399, 0, 0], [67, 67, 67, 199], [1, 1, 1, 397]]
)
def test_blocks_of_any_load_suffice_and_are_as_many_as_of_any_other(load):
    experts = np.repeat(np.arange(4), load)[:, None]
    np.random.default_rng(0).shuffle(experts)
    found = planned(experts, num_experts=4, capacity=None)
    assert found.kept.all()
    assert found.filled.sum() == 400
    assert found.choices.shape == ((400 + 4 * 65) // 66, 66)


@pytest.mark.parametrize(
    ("load", "capacity", "in_place"),
    [
        ([100] * 4, 166, True),
        ([166, 34, 100, 100], 166, True),
        ([167, 33, 100, 100], 166, False),
        ([0, 0, 17, 0], 17, True),
        ([0, 23, 0, 0], 23, True),
        ([0, 0, 0, 41], 31, False),
        ([1, 1, 0, 0], 2, True),
        ([1, 0, 0, 0], 1, False),  # a block copies one kernel, a product of all reads four
        ([0, 0, 0, 0], 0, False),
    ],
)
def test_even_loads_and_few_more_are_computed_in_place(load, capacity, in_place):
    experts = np.repeat(np.arange(4), load)[:, None].astype("int32")
    found = routing.generous_capacity(routing.queue_up(experts, 4))
    assert found[0] == capacity
    assert bool(numpy(found[1])) is in_place


# --- there and back ---


@pytest.mark.parametrize("capacity", [None, 2])
def test_tokens_come_back_times_their_weights_and_dropped_ones_as_zero(capacity):
    experts = random_choices(10, 4, 2, seed=3)
    mask = np.arange(10) != 4
    generator = np.random.default_rng(2)
    tokens = generator.normal(size=(10, 3)).astype("float32")
    weights = generator.random((10, 2)).astype("float32")
    found = planned(experts, 4, capacity, mask=mask)
    slots = routing.dispatch(ops.convert_to_tensor(tokens), found.plan)
    there = numpy(slots)
    np.testing.assert_array_equal(there[found.filled], tokens[found.choices[found.filled] // 2])
    back = numpy(routing.combine(slots, ops.convert_to_tensor(weights), found.plan))
    expected = tokens * (weights * found.kept).sum(-1, keepdims=True)
    np.testing.assert_allclose(back, expected, rtol=1e-6)
    assert np.all(back[4] == 0)
    assert (found.kept.sum() == 18) == (capacity is None)


# --- balance ---


def test_squared_variation_has_the_variance_of_a_population():
    assert numpy(routing.squared_variation(np.array([1.0, 2.0, 3.0], "float32"))) == pytest.approx(
        1 / 6, rel=1e-6
    )
    rows = np.array([[1, 2, 3], [5, 5, 5], [0, 0, 0]], "float32")
    np.testing.assert_allclose(
        numpy(routing.squared_variation(rows)), [1 / 6, 0, 0], rtol=1e-6, atol=1e-7
    )


CLEAN = np.array([[1.0, 0.5, 0.2, -0.3]], "float32")
NOISE = np.array([[0.1, -0.2, 0.6, 0.0]], "float32")


def test_the_noisy_top_k_fixture():
    values, indices = routing.top_k(CLEAN + NOISE, 2)
    np.testing.assert_array_equal(numpy(indices), [[0, 2]])
    np.testing.assert_allclose(numpy(ops.softmax(values)), [[0.574443, 0.425557]], rtol=1e-5)
    load = numpy(routing.noisy_top_k_load(CLEAN, CLEAN + NOISE, np.ones_like(CLEAN), 2))
    np.testing.assert_allclose(load, [[0.758036, 0.382089, 0.460172, 0.135666]], rtol=1e-5)
    again = twin.chosen_again(CLEAN[0], (CLEAN + NOISE)[0], np.ones(4), 2)
    np.testing.assert_allclose(load[0], again, rtol=1e-5)


@pytest.mark.parametrize(("num_experts", "k"), [(3, 2), (5, 2), (5, 4), (8, 3)])
def test_the_smooth_load_compares_with_the_noisy_scores_of_the_others(num_experts, k):
    generator = np.random.default_rng(num_experts * k)
    clean, noise = generator.normal(size=(2, 20, num_experts)).astype("float32")
    deviations = generator.uniform(0.3, 2, (20, num_experts)).astype("float32")
    noisy = clean + noise * deviations
    load = numpy(routing.noisy_top_k_load(clean, noisy, deviations, k))
    rows = zip(clean, noisy, deviations, strict=True)
    expected = [twin.chosen_again(*row, k) for row in rows]
    np.testing.assert_allclose(load, expected, rtol=1e-4, atol=1e-6)


def test_the_smooth_load_is_the_frequency_with_which_an_expert_is_chosen_anew():
    generator = np.random.default_rng(0)
    noisy = CLEAN[0] + NOISE[0]
    draws = 40_000
    expected = []
    for i in range(4):
        scores = np.tile(noisy, (draws, 1))
        scores[:, i] = CLEAN[0, i] + generator.normal(size=draws)
        expected.append(np.mean((scores > scores[:, [i]]).sum(-1) < 2))
    load = numpy(routing.noisy_top_k_load(CLEAN, CLEAN + NOISE, np.ones_like(CLEAN), 2))
    np.testing.assert_allclose(load[0], expected, atol=0.01)


def test_the_switch_balance_fixture():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    first = np.array([0.75, 0.25], "float32")
    mean = probabilities.mean(0).astype("float32")
    assert numpy(routing.balance_loss(first, mean)) == pytest.approx(1.1, rel=1e-6)
    assert twin.balance(probabilities) == pytest.approx(1.1)


@pytest.mark.parametrize("num_experts", [2, 7])
def test_the_balance_loss_of_even_use_is_one_and_of_one_expert_their_number(num_experts):
    even = np.full((3, num_experts), 1 / num_experts, "float32")
    np.testing.assert_allclose(numpy(routing.balance_loss(even, even)), np.ones(3), rtol=1e-6)
    one = np.eye(num_experts, dtype="float32")[:3]
    np.testing.assert_allclose(numpy(routing.balance_loss(one, one)), num_experts, rtol=1e-6)


def test_the_z_loss_is_the_squared_logarithm_of_the_partition_function():
    logits = np.random.default_rng(0).normal(size=(6, 5)).astype("float32") * 3
    found = numpy(routing.router_z_loss(logits))
    np.testing.assert_allclose(found, np.log(np.exp(logits).sum(-1)) ** 2, rtol=1e-5)
    assert found.mean() == pytest.approx(twin.z_loss(logits.astype("float64")), rel=1e-5)
    np.testing.assert_allclose(
        numpy(routing.router_z_loss(np.zeros((1, 5), "float32"))), np.log(5) ** 2, rtol=1e-6
    )
    assert np.isfinite(numpy(routing.router_z_loss(np.full((1, 5), 1e4, "float32")))).all()


def test_sums_are_over_the_routed_tokens_of_each_group():
    values = np.arange(12, dtype="float32").reshape(6, 2)
    values[1] = np.nan
    mask = np.array([True, False, True, True, False, True])
    np.testing.assert_array_equal(
        numpy(routing.sum_over_tokens(values, 2, mask)), [[4, 6], [16, 18]]
    )
    np.testing.assert_array_equal(numpy(routing.sum_over_tokens(values[2:], 1)), [[28, 32]])
