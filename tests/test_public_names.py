"""What README tells newcomers to import and to type is what there is."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import keras_mtl
from keras_mtl import zoo
from keras_mtl.__main__ import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ROOMS = sorted(name for name in keras_mtl.__all__ if inspect.ismodule(getattr(keras_mtl, name)))
COMMANDS = ("pip install -e . && python -m zoo ple", 'pip install -e ".[test]" && pytest')


def names_in_readme(place: str) -> list[str]:
    """Names in the table of public names that are imported from, or typed after, `place`."""
    return re.findall(rf"^\| `{re.escape(place)}` \| `([\w-]+)` \| \S", README, re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_the_table_holds_the_public_names_of_a_room(room: str) -> None:
    public = importlib.import_module(f"keras_mtl.{room}").__dict__.get("__all__", [])
    assert sorted(names_in_readme(f"keras_mtl.{room}")) == sorted(public)


def test_the_table_holds_the_public_names_of_the_package() -> None:
    own = {*keras_mtl.__all__} - {*ROOMS, "__version__"}
    assert sorted(names_in_readme("keras_mtl")) == sorted(own)


def test_the_table_names_no_other_place() -> None:
    places = set(re.findall(r"^\| `(keras[-_]mtl[\w.]*)` \| `\w+` \|", README, re.MULTILINE))
    assert places <= {"keras_mtl", "keras-mtl", *(f"keras_mtl.{room}" for room in ROOMS)}


def test_every_constructor_is_registered_under_its_name_and_in_the_table() -> None:
    helpers = {"create", "get_constructor", "list_models"}
    assert zoo.list_models() == sorted({*names_in_readme("keras_mtl.zoo")} - helpers)
    for name in zoo.list_models():
        assert zoo.get_constructor(name) is getattr(zoo, name)


def test_the_table_holds_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    usage = re.search(r"{([\w,-]+)}", capsys.readouterr().out)
    assert usage
    assert names_in_readme("keras-mtl") == usage[1].split(",")


@pytest.mark.parametrize("command", COMMANDS)
def test_readme_begins_with_the_two_commands(command: str) -> None:
    assert f"```shell\n{command}\n```" in README.partition("## Example")[0]


def test_the_checks_run_what_readme_says() -> None:
    checks = (ROOT / ".ci" / "run").read_text()
    assert COMMANDS[1] in checks
    assert COMMANDS[0].rpartition("&& ")[2] in checks


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_leads_to_a_file(page: str) -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text())
    assert [target for target in targets if not (ROOT / target).exists()] == []
