"""One exported model that all tests of the export read."""

from types import SimpleNamespace

import keras
import pytest

from tests.serving.served import make_table, make_trained, raw_columns

# SavedModels are TensorFlow's alone.
collect_ignore_glob = [] if keras.backend.backend() == "tensorflow" else ["test_*.py"]


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> SimpleNamespace:
    """A trained model on a table, and its SavedModel at `path`, warmed up with `samples`."""
    table = make_table()
    model = make_trained(table)
    path = tmp_path_factory.mktemp("export") / "model" / "1"
    samples = raw_columns(5, 1)
    model.export(path, verbose=False, samples=samples)
    return SimpleNamespace(model=model, table=table, path=path, samples=samples)
