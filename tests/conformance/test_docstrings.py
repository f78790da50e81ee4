"""What the docstring of a public name holds. Their examples run as tests: see setup.cfg."""

import inspect
import re

import pytest

from keras_mtl import layers, zoo
from tests.conformance.over import held_to
from tests.conformance.public import OBJECTS, arguments

NO_PAPER = {"layers.TaskOutput"}


NAMES = sorted({case.public for case in held_to("docstring")})
CONSTRUCTORS = {f"zoo.{name}" for name in zoo.list_models()}
PAPERS = sorted({f"layers.{name}" for name in layers.__all__} - NO_PAPER | CONSTRUCTORS)


def docstring(name: str) -> str:
    return inspect.getdoc(OBJECTS[name]) or ""


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_begins_with_one_sentence_and_has_an_example(name: str) -> None:
    first, *rest = docstring(name).splitlines()
    assert re.search(r"[.?]$", first)
    assert not rest or not rest[0]
    assert "\nExample:\n" in docstring(name)
    assert ">>> " in docstring(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_explains_every_argument(name: str) -> None:
    section = docstring(name).partition("Args:\n")[2].partition("\n\n")[0]
    # Those of a base class stand in one line, `**options: `expert`, `activation` ...`.
    explained = re.findall(r"^ {4}(\w+): \S|`(\w+)`", section, re.MULTILINE)
    assert [
        argument for argument in arguments(OBJECTS[name]) if argument not in set().union(*explained)
    ] == []


@pytest.mark.parametrize("name", PAPERS)
def test_layers_and_constructors_say_shapes_errors_and_paper(name: str) -> None:
    text = docstring(name)
    shapes = (
        ("\nInput shape:", "\nOutput shape:") if name.startswith("layers.") else ("\nReturns:",)
    )
    for section in (*shapes, "\nRaises:", "\nReference:"):
        assert section in text, section
    assert re.search(r"\b(19|20)\d\d\b", text.partition("\nReference:")[2])
