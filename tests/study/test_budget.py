import math

import pytest

from keras_mtl import Task
from keras_mtl.study.budget import count_parameters, match_budget

TASKS = [Task("a", "regression"), Task("b", "regression")]
PAPER = {"name": "mmoe", "num_experts": 8, "expert_units": [16], "tower_units": [8]}


def test_parameters_of_the_mmoe_paper_by_hand():
    experts = 8 * (100 * 16 + 16)
    gates = count_parameters(PAPER, TASKS, 100) - experts - 2 * (16 * 8 + 8) - 2 * (8 + 1)
    assert gates in (2 * 100 * 8, 2 * (100 * 8 + 8))


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "shared_bottom", "tower_units": [8]},
        {"name": "single_task", "hidden_units": [64, 32], "tower_units": [8]},
        {"name": "ple", "expert_units": 16, "tower_units": [8]},
    ],
)
def test_a_matched_model_has_the_budget(arguments):
    budget = count_parameters(PAPER, TASKS, 100)
    matched = match_budget(arguments, TASKS, 100, budget)
    assert count_parameters(matched, TASKS, 100) == pytest.approx(budget, rel=0.03)
    assert matched["tower_units"] == [8]


def test_the_shared_bottom_of_the_paper_comes_out():
    budget = 100 * 16 * 8 + 16 * 8 * 2  # biases, gates and heads are not counted there
    own = 113 + 2 * (8 + 8 + 1)  # what we count and the paper does not
    matched = match_budget(
        {"name": "shared_bottom", "bottom_units": [7], "tower_units": [8]}, TASKS, 100, budget + own
    )
    assert matched["bottom_units"] == [113]


def test_a_model_of_the_budget_stays_as_it_is():
    budget = count_parameters(PAPER, TASKS, 100)
    assert match_budget(PAPER, TASKS, 100, budget)["expert_units"] == [16]


def test_layers_keep_their_proportion():
    arguments = {"name": "shared_bottom", "bottom_units": [200, 100], "tower_units": [8]}
    first, second = match_budget(arguments, TASKS, 100, 100_000)["bottom_units"]
    assert math.isclose(first / second, 2, rel_tol=0.02)


def test_a_budget_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="within reach"):
        match_budget(PAPER, TASKS, 100, 10)
