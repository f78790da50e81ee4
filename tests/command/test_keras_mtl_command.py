"""The command `keras-mtl` where it needs no Keras: help, version, list, init."""

import configparser
import fnmatch
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_mtl
from keras_mtl import datasets, zoo
from keras_mtl.__main__ import main
from keras_mtl.study.execution import check_models
from keras_mtl.study.sources import load_data
from keras_mtl.study.study_file import load_study
from keras_mtl_command import listing, package

ROOT = Path(__file__).parents[2]
ALONE = """
import sys
sys.path.insert(0, {root!r})
from keras_mtl_command import main
try:
    status = main({arguments!r})
except SystemExit as end:
    status = end.code
loaded = {{"keras", "tensorflow", "keras_mtl", "numpy"}} & {{*sys.modules}}
sys.exit(status or (f"imported {{loaded}}" if loaded else 0))
"""


def alone(folder, *arguments):
    """What a process of its own prints that must not import Keras."""
    code = ALONE.format(root=str(ROOT), arguments=[*arguments])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_help_version_list_and_init_import_no_keras_and_print_nothing_of_tensorflows(tmp_path):
    assert "usage: keras-mtl" in alone(tmp_path, "--help")
    assert "--seeds" in alone(tmp_path, "compare", "--help")
    assert alone(tmp_path, "--version") == f"keras-mtl {keras_mtl.__version__}\n"
    assert "No study file here" in alone(tmp_path, "list")
    assert "keras-mtl run study.toml" in alone(tmp_path, "init", "study.toml")
    assert "PLE on visits to a shop" in alone(tmp_path, "list")


def test_the_package_found_is_the_one_imported():
    assert package.folder() == Path(keras_mtl.__file__).parent
    assert package.version() == keras_mtl.__version__


def first_line(documented):
    return documented.__doc__.strip().splitlines()[0]


def test_list_shows_every_system_and_data_set_with_its_first_line():
    systems = {name: first_line(zoo.get_constructor(name)) for name in zoo.list_models()}
    assert dict(listing.systems()) == systems
    modules = {name: getattr(datasets, name) for name in datasets.__all__}
    loaders = {name: first_line(m) for name, m in modules.items() if hasattr(m, "load")}
    assert dict(listing.data_sets()) == loaders


def test_list_shows_the_study_files_of_the_current_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    study = '[model]\nname = "ple"\n[data.own]\nsource = "gone:load"\n'
    (tmp_path / "mine.toml").write_text(f'title = "My own"\n{study}')
    (tmp_path / "a" / "other.toml").write_text(study)
    (tmp_path / "a" / "b" / "study.toml").write_text('base = "../../mine.toml"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    (tmp_path / "broken.toml").write_text("[model")
    (tmp_path / "a" / "endless.toml").write_text('base = "endless.toml"')
    assert main(["list"]) == 0
    said = capsys.readouterr().out.splitlines()
    listed = [line for line in said if ".toml " in line and "keras-mtl" not in line]
    assert [line.split("  ")[0] for line in listed] == [
        "a/b/study.toml",
        "a/other.toml",
        "broken.toml",
        "mine.toml",
    ]
    assert listed[0].endswith(" My own")
    assert listed[1].endswith(" other")
    assert "cannot be read: " in listed[2]


def test_list_survives_the_files_of_others(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = '[model]\nname = "ple"\n[data.own]\nsource = "gone:load"\n'
    os.mkfifo(tmp_path / "pipe.toml")
    os.symlink("loop.toml", tmp_path / "loop.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000)
    for name, base in (("piped", "pipe.toml"), ("nul", "\\u0000"), ("looped", "loop.toml")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{base}"\n{study}')
    (tmp_path / "red.toml").write_text(f'title = "\\u001b[31mred\\ntwo"\n{study}')
    (tmp_path / os.fsdecode(b"\xff.toml")).write_text(study)
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    listed = [line.split("  ")[0] for line in said.splitlines() if ".toml  " in line]
    names = ["deep.toml", "looped.toml", "nul.toml", "piped.toml", "red.toml", "\\udcff.toml"]
    assert listed == names


def test_init_writes_a_study_that_loads_its_data_wherever_it_lies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = [*sys.path]
    for path in ("study.toml", "deep/down/2nd-try.toml"):
        assert main(["init", path]) == 0
        study = load_study(Path(path))
        (settings,) = study.runs("visits", [0], fit={})
        check_models([settings, *study.baseline_runs("visits", [0], fit={})], None)
        data = load_data(settings)
        assert data.rows == (9_600, 1_200, 1_200)
        assert [task.name for task in data.tasks] == ["buy", "minutes"]
    assert sys.path == before
    assert (tmp_path / "deep" / "down" / "_2nd_try_data.py").exists()
    assert "keras-mtl run deep/down/2nd-try.toml" in capsys.readouterr().out


@pytest.mark.parametrize("there", ["study.toml", "study_data.py"])
def test_init_overwrites_nothing(tmp_path, monkeypatch, capsys, there):
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).write_text("mine")
    assert main(["init"]) == 2
    assert f"Nothing is overwritten: {there} must not be there" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


@pytest.mark.parametrize("there", ["study.toml", "study_data.py"])
def test_init_follows_no_planted_link(tmp_path, monkeypatch, capsys, there):
    monkeypatch.chdir(tmp_path)
    os.symlink("victim", there)
    assert main(["init"]) == 2
    assert f"Nothing is overwritten: {there} must not be there" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_init_wants_the_name_of_a_toml_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "study.py"]) == 2
    assert "must be named NAME.toml" in capsys.readouterr().err


@pytest.mark.slow
def test_the_study_that_init_writes_runs_as_it_is(tmp_path):
    alone(tmp_path, "init", "study.toml")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import keras_mtl_command as c; "
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(c.main(['run', 'study.toml']))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said in ("PLE on visits to a shop", "ple - single_task", "differ from Keras' predictions"):
        assert said in done.stdout


def test_what_init_writes_and_the_command_are_packaged():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["keras_mtl"].split("\n")
    files = {path.relative_to(package.folder()).as_posix() for path in example_files()}
    assert len(files) == 2
    assert all(any(fnmatch.fnmatch(file, pattern) for pattern in patterns) for file in files)
    included = setup["options.packages.find"]["include"]
    assert fnmatch.fnmatch("keras_mtl_command", included)
    (command,) = [
        line for line in setup["options.entry_points"]["console_scripts"].split("\n") if "=" in line
    ]
    module, _, function = command.partition("= ")[2].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def example_files():
    return [path for path in (package.folder() / "study" / "example").iterdir() if path.is_file()]
