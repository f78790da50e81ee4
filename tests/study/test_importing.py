"""Modules beside a study file."""

import concurrent.futures
import multiprocessing
import sys

import pytest

from keras_mtl.study.importing import beside, import_name
from keras_mtl.study.sources import load_data
from keras_mtl.study.study_file import load_study

LOADER = """
import numpy as np

import its_helper
from keras_mtl.datasets import Dataset, Split


def load():
    part = Split({{"features": np.full((8, 2), {value})}}, {{"a": np.arange(8) % 2}})
    return Dataset(part, part, part)
"""
HELPER = """
def square(value):
    return value * value
"""
STUDY = """
[model]
name = "shared_bottom"

[data.own]
source = "its_data:load"
tasks = ["a"]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a study with a loader and a module that the loader imports; we work elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def written(name, value, study=STUDY):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "its_data.py").write_text(LOADER.format(value=value))
        (folder / "its_helper.py").write_text(HELPER)
        (folder / "study.toml").write_text(study)
        return folder / "study.toml"

    return written


def run_of(path):
    (settings,) = load_study(path).runs("own", [0], fit={})
    return settings


def first_value(path):
    return load_data(run_of(path)).train[0][0, 0]


def test_a_loader_beside_its_study_file_is_found_and_sys_path_stays_as_it_was(write):
    path, before = write("mine", 3), list(sys.path)
    assert first_value(path) == 3
    assert sys.path == before


def test_a_path_relative_to_the_working_directory_does_as_well(write, tmp_path, monkeypatch):
    path = write("mine", 3)
    monkeypatch.chdir(tmp_path)
    settings = run_of(path.relative_to(tmp_path))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_data(settings).train[0][0, 0] == 3


def test_studies_with_loaders_of_one_name_read_each_its_own(write):
    one, two = write("one", 1), write("two", 2)
    assert [first_value(path) for path in (one, two, one)] == [1, 2, 1]


def test_a_loader_beside_the_base_of_a_study_is_found(write, tmp_path):
    write("below", 5)
    (tmp_path / "above").mkdir()
    (tmp_path / "above" / "own.toml").write_text('base = "../below/study.toml"\n')
    assert first_value(tmp_path / "above" / "own.toml") == 5


def test_classes_beside_a_study_file_are_found(write):
    more = '\n[[fit.callbacks]]\nclass_name = "its_callback:Mine"\n'
    path = write("mine", 3, STUDY + more)
    (path.parent / "its_callback.py").write_text(
        "import keras\n\n\nclass Mine(keras.callbacks.Callback):\n    pass\n"
    )
    assert run_of(path).fit == {"callbacks": [{"class_name": "its_callback:Mine"}]}


def test_worker_processes_that_a_loader_starts_find_it(write):
    path = write("mine", 3)
    with beside([str(path.parent)]):
        square = import_name("its_helper:square")
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            assert pool.submit(square, 5).result(timeout=60) == 25


def test_where_it_lies_stands_in_no_record(write, tmp_path):
    path = write("mine", 3)
    assert str(tmp_path) not in str(run_of(path).to_dict())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("its_dta:load", "from the study file's folder.*Did you mean 'its_data'"),
        ("its_data:laod", "Did you mean 'load'"),
        ("its_data:np", "must name a function"),
        ("its_data:", "must be importable"),
        (":load", "must be importable"),
        ("load", "'package.module:function'"),
        ("synthetic_task", "Did you mean 'synthetic_tasks'"),
    ],
)
def test_a_source_that_is_none_is_refused_with_the_nearest(write, source, said):
    path = write("mine", 3, STUDY.replace("its_data:load", source))
    with pytest.raises(ValueError, match=said):
        load_study(path)


def test_a_loader_named_as_a_loaded_module_is_refused(write):
    path = write("mine", 3, STUDY.replace("its_data:load", "json:load"))
    (path.parent / "json.py").write_text("def load():\n    pass\n")
    with pytest.raises(ValueError, match=r"a name that no loaded module has.*json\.py"):
        load_study(path)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("(part, part, part)", "must return a `keras_mtl.datasets.Dataset`. Received: tuple"),
        ("Dataset(part.take(np.arange(4)), part, None)", "`test` of a Dataset must be a Split"),
    ],
)
def test_a_loader_that_returns_something_else_is_refused(write, returned, said):
    path = write("mine", 3)
    loader = path.with_name("its_data.py")
    loader.write_text(loader.read_text().replace("Dataset(part, part, part)", returned))
    with pytest.raises(ValueError, match=said):
        load_data(run_of(path))


def test_a_task_without_labels_in_the_data_is_refused_with_the_nearest(write):
    path = write("mine", 3, STUDY.replace('["a"]', '["aa"]'))
    with pytest.raises(ValueError, match=r"must be a label of the data, a\. Did you mean 'a'"):
        load_data(run_of(path))
