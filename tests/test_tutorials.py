"""The tutorials and the README's example run as they stand, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9]*.py"))


def run_script(path: Path, folder: Path) -> None:
    """Runs a script in `folder` as a newcomer would; fails with all that it printed."""
    finished = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_there_are_tutorials() -> None:
    assert [path.stem for path in TUTORIALS] == [
        "01_quick_start",
        "02_from_csv_to_serving",
        "03_many_workers",
        "04_sparse_experts",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_passes_the_asserts_it_ends_in(path: Path, tmp_path: Path) -> None:
    assert "\nassert " in path.read_text().rpartition("# %%\n")[2]
    run_script(path, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif("KERAS_MTL_DATA" not in os.environ, reason="KERAS_MTL_DATA names no data")
def test_the_readmes_example_saves_and_exports(tmp_path: Path) -> None:
    example = re.search(
        r"```python\n(from keras_mtl.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    assert example
    script = tmp_path / "example.py"
    script.write_text(example[1])
    run_script(script, tmp_path)
    assert (tmp_path / "ple.keras").is_file()
    assert (tmp_path / "export" / "ple" / "1" / "saved_model.pb").is_file()
