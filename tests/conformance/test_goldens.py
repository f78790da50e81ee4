"""Files that earlier versions wrote on TensorFlow, loaded by this one on this backend."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mtl import __version__
from tests.conformance import records
from tests.conformance.figures import assert_same, shown, trained
from tests.conformance.over import held_to

GOLDENS = sorted(records.GOLDENS.rglob("*.keras"))
PLAIN = {records.file_name(case.name) for case in held_to("golden") if not case.option}
TRAINED_ALIKE = {records.file_name(case.name) for case in held_to("backends")}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=f"{path.parent.name} {path.stem}",
            marks=[] if path.stem in PLAIN else [pytest.mark.slow],
        )
        for path in GOLDENS
    ],
)
def test_a_kept_file_computes_what_it_did(path: Path) -> None:
    x, y, figures, after = records.read(path.parent, path.stem)
    model = keras.saving.load_model(path)
    assert_same(shown(model, x, y), figures, tolerance=1e-5)
    if path.stem in TRAINED_ALIKE:
        assert_same(trained(model, x, y), after, tolerance=1e-5)


def test_every_case_has_a_kept_file_and_every_file_of_this_version_a_case() -> None:
    cases = {records.file_name(case.name) for case in held_to("golden")}
    assert cases <= {path.stem for path in GOLDENS}
    assert {path.stem for path in GOLDENS if path.parent.name == __version__} <= cases


def test_a_changed_number_would_be_seen() -> None:
    """The figures depend on the weights: none is a constant."""
    path = GOLDENS[0]
    x, y, figures, _ = records.read(path.parent, path.stem)
    model = keras.saving.load_model(path)
    model.set_weights([np.asarray(weight) * 1.01 for weight in model.get_weights()])
    with pytest.raises(AssertionError, match="figure:"):
        assert_same(shown(model, x, y), figures, tolerance=1e-5)
