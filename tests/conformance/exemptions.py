"""Reports which guarantees were not asked of which case, and why."""

from collections import defaultdict

import pytest

from tests.conformance.cases import CASES


def print_exemptions(reporter: pytest.TerminalReporter) -> None:
    """Prints every reason once, with the guarantees and cases that it exempts."""
    exempt: dict[str, tuple[set[str], list[str]]] = defaultdict(lambda: (set(), []))
    for case in CASES:
        for guarantee, reason in case.exempt.items():
            exempt[reason][0].add(guarantee)
            exempt[reason][1].append(case.name)
    reporter.section("guarantees that some cases are exempt from")
    for reason, (guarantees, names) in sorted(exempt.items()):
        reporter.write_line(
            f"{reason}\n  not asked: {', '.join(sorted(guarantees))}\n"
            f"  of: {', '.join(dict.fromkeys(names))}"
        )
