"""Models saved here, loaded in a fresh process that has imported only the package."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conformance import records
from tests.conformance.case import Case
from tests.conformance.figures import Arrays, assert_same
from tests.conformance.over import over, selected

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("load_files.py")
ROWS = 12


@pytest.fixture(scope="module")
def folders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Files of all cases that run, and what one fresh process computed from them."""
    folder, answers = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("answers")
    for case in selected(request):
        keras.utils.set_random_seed(0)
        model = case.compile(case.model(0), run_eagerly=True)
        name = records.file_name(case.name)
        records.write(folder, name, model, case.inputs(ROWS, 1), case.labels(ROWS, 1))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-P", str(SCRIPT), str(folder), str(answers)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, answers


def both(folders: tuple[Path, Path], case: Case, *, after: bool) -> tuple[Arrays, Arrays]:
    """Figures, or those after another epoch, as found there and as computed here."""
    folder, answers = folders
    name = records.file_name(case.name)
    _, _, figures, later = records.read(folder, name)
    with np.load(answers / f"{name}.npz") as stored:
        found = {k.removeprefix("after:"): v for k, v in stored.items() if ("after:" in k) == after}
    return found, later if after else figures


@over("file", slow_options=True)
def test_a_fresh_process_predicts_and_evaluates(case: Case, folders: tuple[Path, Path]) -> None:
    assert_same(*both(folders, case, after=False), tolerance=1e-6)


@over("resumed", slow_options=True)
def test_a_fresh_process_trains_on(case: Case, folders: tuple[Path, Path]) -> None:
    assert_same(*both(folders, case, after=True), tolerance=1e-6)
