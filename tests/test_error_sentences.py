"""An error says what came: each sentence of the package that refuses something says "Received"."""

import ast
from pathlib import Path

import pytest

import keras_mtl

PACKAGE = Path(keras_mtl.__file__).parent
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def refusals(path: Path) -> list[tuple[int, str]]:
    """Line and text of every ValueError and TypeError that a module raises in words of its own."""
    raised = (
        node.exc for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)
    )
    made = [error for error in raised if isinstance(error, ast.Call) and error.args]
    refused = [e for e in made if ast.unparse(e.func) in ("ValueError", "TypeError")]
    sentences = ((error.lineno, constant_text(error.args[0])) for error in refused)
    return [(line, text) for line, text in sentences if text]


def constant_text(message: ast.expr) -> str:
    """What a string says without the values that are put into it."""
    parts = [node.value for node in ast.walk(message) if isinstance(node, ast.Constant)]
    return "".join(part for part in parts if isinstance(part, str))


@pytest.mark.parametrize("module", MODULES)
def test_every_refusal_says_what_was_received(module: str) -> None:
    assert [refused for refused in refusals(PACKAGE / module) if "Received" not in refused[1]] == []


def test_there_are_refusals_to_look_at() -> None:
    assert sum(len(refusals(PACKAGE / module)) for module in MODULES) > 50
