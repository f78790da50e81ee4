"""A public name without a case, or an argument that no case gives, is a failure."""

import re
from pathlib import Path

import pytest

from tests.conformance.case import GUARANTEES
from tests.conformance.cases import CASES
from tests.conformance.public import OBJECTS, arguments

EVERYWHERE = {"seed", "name", "dtype"}
"""Arguments that models give their parts, and that guarantees set for themselves."""

TESTS = Path(__file__).parent


def test_every_public_name_has_a_case_and_every_case_a_public_name() -> None:
    assert {case.public for case in CASES} == set(OBJECTS)


@pytest.mark.parametrize("public", OBJECTS)
def test_some_case_gives_each_argument(public: str) -> None:
    given = {name for case in CASES if case.public == public for name in case.arguments}
    assert set(arguments(OBJECTS[public])) - EVERYWHERE - given == set()


def test_names_of_cases_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_some_test_runs_a_guarantee_over_all_cases(guarantee: str) -> None:
    asked = re.compile(rf'^@over\("{guarantee}"|held_to\("{guarantee}"\)', re.MULTILINE)
    assert any(asked.search(path.read_text()) for path in TESTS.glob("test_*.py"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_exemption_names_a_guarantee_and_a_reason(case) -> None:
    assert case.exempt.keys() <= GUARANTEES.keys()
    assert all(len(reason) > 10 for reason in case.exempt.values())
    if case.model is None:
        assert case.exempt.keys() == GUARANTEES.keys() - {"docstring"}


def test_options_do_not_escape_what_the_plain_case_is_held_to() -> None:
    """Of every public name that makes something, a case runs each guarantee."""
    for public in {case.public for case in CASES if case.model is not None}:
        cases = [case for case in CASES if case.public == public]
        never = set.intersection(*(set(case.exempt) for case in cases))
        # Rows of tables are up to data, graphs of one's own to the user.
        others = set() if public.startswith(("layers.", "zoo.")) else {"trained"}
        assert never <= {"config", "slices", "seeds"} | others, public
