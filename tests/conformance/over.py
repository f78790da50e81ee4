"""Runs a guarantee over all cases that it can be asked of."""

from typing import Any

import pytest

from tests.conformance.case import GUARANTEES, Case
from tests.conformance.cases import CASES


def held_to(guarantee: str) -> list[Case]:
    """The cases that no reason exempts."""
    assert guarantee in GUARANTEES
    return [case for case in CASES if guarantee not in case.exempt]


def over(guarantee: str, *, slow_options: bool = False, quick: tuple[str, ...] = ("",)) -> Any:
    """Parametrises a test by `case`.

    With `slow_options` only plain cases are quick, and of these only those whose names begin as one
    of `quick` says.
    """
    slow = [
        slow_options and bool(case.option or not case.public.startswith(quick))
        for case in held_to(guarantee)
    ]
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.name, marks=[pytest.mark.slow] * is_slow)
            for case, is_slow in zip(held_to(guarantee), slow, strict=True)
        ],
    )


def selected(request: pytest.FixtureRequest) -> list[Case]:
    """The cases that tests of the requesting module run over this time, each once."""
    items = [item for item in request.session.items if item.path == request.path]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return list({p["case"].name: p["case"] for p in params if "case" in p}.values())
