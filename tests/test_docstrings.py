"""What the docstring of a public name holds. Their examples run as tests: see setup.cfg."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import keras_mtl
from keras_mtl import layers, zoo

NO_PAPER = {"TaskOutput"}


def public_objects() -> dict[str, Callable[..., Any]]:
    """Public classes and functions by name; of a data set, the function that loads it."""
    rooms = [value for name, value in vars(keras_mtl).items() if name in keras_mtl.__all__]
    modules = [keras_mtl, *filter(inspect.ismodule, rooms)]
    named = {name: getattr(m, name) for m in modules for name in getattr(m, "__all__", [])}
    loaders = {f"{n}.load": v.load for n, v in named.items() if hasattr(v, "load")}
    return {name: value for name, value in (named | loaders).items() if callable(value)}


OBJECTS = public_objects()
PAPERS = sorted({*layers.__all__, *zoo.list_models()} - NO_PAPER)


def docstring(name: str) -> str:
    return inspect.getdoc(OBJECTS[name]) or ""


def arguments(name: str) -> list[str]:
    """Arguments that a caller may give by name."""
    made = OBJECTS[name]
    parameters = inspect.signature(made.__init__ if inspect.isclass(made) else made).parameters
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters.values() if p.kind in named and p.name != "self"]


@pytest.mark.parametrize("name", OBJECTS)
def test_a_docstring_begins_with_one_sentence_and_has_an_example(name: str) -> None:
    first, *rest = docstring(name).splitlines()
    assert re.search(r"[.?]$", first)
    assert not rest or not rest[0]
    assert "\nExample:\n" in docstring(name)
    assert ">>> " in docstring(name)


@pytest.mark.parametrize("name", OBJECTS)
def test_a_docstring_explains_every_argument(name: str) -> None:
    section = docstring(name).partition("Args:\n")[2].partition("\n\n")[0]
    explained = re.findall(r"^ {4}(\w+): \S", section, re.MULTILINE)
    assert [argument for argument in arguments(name) if argument not in explained] == []


@pytest.mark.parametrize("name", PAPERS)
def test_layers_and_constructors_say_shapes_errors_and_paper(name: str) -> None:
    text = docstring(name)
    shapes = ("\nInput shape:", "\nOutput shape:") if name in layers.__all__ else ("\nReturns:",)
    for section in (*shapes, "\nRaises:", "\nReference:"):
        assert section in text, section
    assert re.search(r"\b(19|20)\d\d\b", text.partition("\nReference:")[2])
