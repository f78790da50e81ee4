"""Reports which guarantees were not asked of which case, and why."""

from collections import defaultdict

import keras
import pytest

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
collect_ignore = (
    [] if ON_TENSORFLOW else ["test_serving.py", "test_replicas.py", "test_gpu_kernels.py"]
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints every reason once, with the guarantees and cases that it exempts."""
    from tests.conformance.cases import CASES

    exempt: dict[str, tuple[set[str], list[str]]] = defaultdict(lambda: (set(), []))
    for case in CASES:
        for guarantee, reason in case.exempt.items():
            exempt[reason][0].add(guarantee)
            exempt[reason][1].append(case.name)
    terminalreporter.section("guarantees that some cases are exempt from")
    for reason, (guarantees, names) in sorted(exempt.items()):
        terminalreporter.write_line(
            f"{reason}\n  not asked: {', '.join(sorted(guarantees))}\n"
            f"  of: {', '.join(dict.fromkeys(names))}"
        )
