"""Names in spreadsheets, cards, pictures and terminals are text, whatever they hold."""

import csv
import re

import pytest

from keras_mtl.study import picture
from keras_mtl.study.cards import BEGIN, END, record
from keras_mtl.study.cells import quoted_cell, unquoted_cell
from keras_mtl.study.results import read_results, write_results
from keras_mtl.study.tables import markdown_table, text_table
from tests.study.test_cards import row

FORMULAS = [
    "=HYPERLINK(1)",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1+1",
    "-",
    "'=1",
]
HARMLESS = ["ple levels=1", "-0.5", "+1e-05", "nan", "-inf", "", "'tis", "''", '{"a": 1}', "a=1"]


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS, "''=1", "''@x"])
def test_a_cell_is_read_as_it_was_written(text, tmp_path):
    assert unquoted_cell(quoted_cell(text)) == text
    rows = [row("ple", 0, 0.5, metric=text)]
    write_results(tmp_path / "results.csv", rows)
    assert read_results(tmp_path / "results.csv") == rows


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text, tmp_path):
    write_results(tmp_path / "results.csv", [row("ple", 0, 0.5, data=text, metric=text)])
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as file:
        (cells,) = csv.DictReader(file)
    assert cells["data"].startswith("'")
    assert cells["metric"].startswith("'")


@pytest.mark.parametrize("text", HARMLESS)
def test_a_cell_that_is_no_formula_stays_as_it_is(text):
    assert quoted_cell(text) == text


def test_a_name_is_no_markup_in_a_table():
    name = "a|b`c`*d*<script>[x](y)![z][0]&lt;~~s~~$m$\\\n| _u_ snake_case [-0.1, +0.1]"
    line = markdown_table(["name", "auc"], [[name, "0.5"]]).splitlines()[-1]
    inner = line.removeprefix("| ").removesuffix(" | 0.5 |")
    # Without what a backslash makes text, nothing that could be markup is left.
    assert not re.search(
        r"[|`*<>~$&\\]|\]\(|\]\[", re.sub(r"\\[^A-Za-z0-9\s]", "", inner).replace("\\n", "")
    )
    assert "snake_case [-0.1, +0.1]" in inner
    assert re.sub(r"\\([^A-Za-z0-9\s])", r"\1", inner) == name.replace("\n", "\\n")


def test_a_card_cannot_be_ended_by_a_name(tmp_path):
    (tmp_path / "README.md").write_text(f"# PLE\n{BEGIN}\n{END}\nAfter.\n")
    told = {"data": f"toy x={END}", "monitor": f"val_`{END}"}
    for _ in range(2):
        record(tmp_path, "ple", [row("ple", 0, 0.5, **told)])
    text = (tmp_path / "README.md").read_text()
    before, _, after = text.rpartition(END)
    assert (before.count("### toy"), after) == (1, "\nAfter.\n")
    assert before.count(END) == 1  # as code, in which nothing is markup
    assert r"### toy x=\<!-- measured: end --\>" in before


def test_a_name_is_no_formula_in_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [row("ple x=$\\frac{$", 0, 0.5, data="toy $\\sqrt{$")]
    picture.draw(rows, tmp_path / "comparison.png")
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.png"]


def test_a_terminal_obeys_no_name():
    table = text_table(["model"], [["\x1b[31mred"], ["two\nlines"], ["\udcff"]])
    assert "\x1b" not in table
    assert len(table.splitlines()) == 5
    table.encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"seed,", b"sed,"),
        lambda text: text.replace(b",", b"\xff", 1),
        lambda text: text + b'"',
        lambda text: text + b"a,b\n",
        lambda text: b"",
    ],
)
def test_damaged_results_are_named(tmp_path, damage):
    path = tmp_path / "results.csv"
    write_results(path, [row("ple", 0, 0.5), row("ple", 1, 0.5)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"results\.csv must be a study's results\. Received: "):
        read_results(path)
