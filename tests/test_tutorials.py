"""The tutorials run as they stand, in an empty folder; each ends in asserts of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parent.parent / "tutorials").glob("[0-9]*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_reaches_its_last_assert(path: Path, tmp_path: Path) -> None:
    assert "\nassert " in path.read_text().rpartition("# %%\n")[2]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONWARNINGS": "ignore"}
    finished = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_there_are_tutorials() -> None:
    assert [path.stem for path in TUTORIALS] == ["01_quick_start", "02_from_csv_to_serving"]
