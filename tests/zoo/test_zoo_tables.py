"""A model built on a table owns it: in memory, in a file, in a clone."""

import json
import os
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from keras_mtl import Task, features
from tests.zoo.small import TRUNKS, build, predictions, values

CASES = list(TRUNKS)
SAVED = ["single_task", "mmoe", "ple"]
TASKS = [Task("b", weight=2.0), Task("a", "multiclass", units=3), Task("c", given="b")]

RELOAD = """
import json, sys
import keras_mtl
import numpy as np

keras = sys.modules["keras"]
folder, cases = sys.argv[1], sys.argv[2:]
columns = json.load(open(f"{folder}/columns.json"))
columns = {name: np.array(column, object) for name, column in columns.items()}
for case in cases:
    model = keras.saving.load_model(f"{folder}/{case}.keras")
    assert type(model) is keras_mtl.MultiTaskModel, type(model)
    tasks = json.dumps([task.get_config() for task in model.tasks])
    outputs = model(model.features.encode(columns))
    arrays = {name: keras.ops.convert_to_numpy(output) for name, output in outputs.items()}
    np.savez(f"{folder}/{case}.npz", __tasks__=tasks, __compiled__=model.compiled, **arrays)
"""


def raw_columns():
    return {
        "city": np.array(["Rome", "?", "Oslo", "Nowhere", None, ""], object),
        "age": np.array([1.0, None, 3.0, 4.0, 1e9, 2.0], object),
        "pay": np.array([0.0, 5.0, None, 1.0, 2.0, 0.0], object),
        "seen": np.array([["x", "y"], [], ["z"], ["new", "x"], ["y"], ["x"]], object),
    }


@pytest.fixture(scope="module")
def table():
    columns = [
        features.Category("city", missing="?"),
        features.Numeric("age"),
        features.Numeric("pay", bins=2),
        features.Sequence("seen", max_length=3),
    ]
    learned = {name: column[:3] for name, column in raw_columns().items()}
    return features.TabularFeatures(columns, embedding_dim=3).adapt(learned)


@pytest.fixture(scope="module")
def models(table):
    made = {case: build(case, table, TASKS) for case in CASES}
    for model in made.values():
        # Seeds decide initial weights; a file must hold what training made of them.
        model.set_weights([weight + 0.1 for weight in model.get_weights()])
        model.compile("adam", loss_weights={"b": 3.0})
    return made


@pytest.fixture(scope="module")
def reloaded(models, tmp_path_factory):
    """What a fresh process, which imports only keras_mtl, reads from each file."""
    folder = tmp_path_factory.mktemp("reload")
    for case in SAVED:
        models[case].save(folder / f"{case}.keras")
    columns = {name: column.tolist() for name, column in raw_columns().items()}
    (folder / "columns.json").write_text(json.dumps(columns))
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, str(folder), *SAVED],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("case", SAVED)
def test_a_fresh_process_predicts_the_same_from_raw_columns(case, models, table, reloaded):
    expected = predictions(models[case], table.encode(raw_columns()))
    with np.load(reloaded / f"{case}.npz") as found:
        assert set(expected) < set(found.files)
        for name, prediction in expected.items():
            np.testing.assert_allclose(found[name], prediction, atol=1e-6)
        tasks = json.loads(str(found["__tasks__"]))
        assert [Task.from_config(task) for task in tasks] == TASKS
        assert found["__compiled__"]


def test_one_file_holds_model_and_table(reloaded):
    with zipfile.ZipFile(reloaded / "ple.keras") as archive:
        text = archive.read("config.json").decode()
    assert "Rome" in text
    assert '"Lambda"' not in text


@pytest.mark.parametrize("case", CASES)
def test_the_model_knows_its_table(case, models, table):
    assert models[case].features is table


def test_a_model_without_a_table_has_no_features():
    assert build("ple", 5, ["a"]).features is None


@pytest.mark.parametrize("case", CASES)
def test_a_clone_keeps_tasks_and_table(case, models, table):
    clone = keras.models.clone_model(models[case])
    assert type(clone) is type(models[case])
    assert list(clone.tasks) == TASKS
    packed = clone.features.encode(raw_columns())
    for name, array in table.encode(raw_columns()).items():
        np.testing.assert_array_equal(packed[name], array)
    clone.set_weights(models[case].get_weights())
    expected = predictions(models[case], packed)
    for name, prediction in predictions(clone, packed).items():
        np.testing.assert_allclose(prediction, expected[name], atol=1e-6)
    shared = {id(weight) for weight in clone.weights} & {id(w) for w in models[case].weights}
    assert not shared


def test_the_seed_reaches_embeddings(table):
    first, again, other = (values(build("ple", table, ["a"], seed=s)) for s in (1, 1, 2))
    (path,) = (p for p in first if p.endswith("/embeddings_3"))
    paths = [next(p for p in model if p.endswith("/embeddings_3")) for model in (again, other)]
    assert first[path].any()
    np.testing.assert_array_equal(first[path], again[paths[0]])
    assert not np.allclose(first[path], other[paths[1]])


def test_single_task_embeds_once_a_task(table):
    model = build("single_task", table, ["b", "a"])
    weights = values(model)
    own = [next(v for p, v in weights.items() if p.startswith(f"embeddings_{t}/")) for t in "ab"]
    assert own[0].shape == own[1].shape
    assert not np.allclose(own[0], own[1])
