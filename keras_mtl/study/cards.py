"""The measured section of a card, written from the results beside it and never by hand."""

import re
from collections.abc import Sequence
from pathlib import Path

from keras_mtl.study import load_picture
from keras_mtl.study.cells import markdown_code, markdown_text
from keras_mtl.study.comparison import BASELINE, pairs, tables
from keras_mtl.study.expert_load import loads_of
from keras_mtl.study.folders import write_text
from keras_mtl.study.results import Row, distinct, read_results, write_results
from keras_mtl.study.tables import markdown_table
from keras_mtl.study.trees import NAME as TREES

CARD, RESULTS = "README.md", "results.csv"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_LOADS = (
    "### Load of the experts\n\n"
    f"![Share of the choices that fell on each expert]({load_picture.LOAD})\n\n"
    "Share of the choices that fell on each expert, on the validation rows of the chosen epochs: "
    "bars are means over seeds, dots single seeds, the dotted line is an even load."
)
_NOTHING = "Nothing measured yet: `keras-mtl compare ... --cards` fills this section."


def record(folder: Path, model: str, rows: Sequence[Row]) -> None:
    """Puts a comparison into a system's folder: its rows, those it is compared with, and the card.

    Rows of the same data replace older ones; rows of other data stay.

    Args:
        folder: folder of the system, with a card in it.
        model: what the rows call the system.
        rows: all rows of the comparison.
    """
    beside = (BASELINE, TREES)
    ours = [
        row
        for row in rows
        if row["study"] == model or row["model"].split(" ")[0] in (model, *beside)
    ]
    new = distinct(ours, "data")
    kept = [row for row in read_results(folder / RESULTS) if row["data"] not in new]
    write_results(folder / RESULTS, [*kept, *ours])
    write_card(folder)


def write_card(folder: Path) -> None:
    """Rewrites a card's measured section, and the picture in it, from the results beside it."""
    rows = read_results(folder / RESULTS)
    load_picture.draw(rows, folder / load_picture.LOAD)
    fill_measured(folder / CARD, measured_section(rows))


def fill_measured(path: Path, section: str) -> None:
    """Puts `section` between the two markers of a Markdown file."""
    text = read_card(path)
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    write_text(path, pattern.sub(lambda _: f"{BEGIN}\n{section}\n{END}", text))


def read_card(path: Path) -> str:
    """The text of a card.

    Raises:
        ValueError: where there is no card, or one that is no text or without the two markers.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise ValueError(f"A card must be text in UTF-8. Received: {path} ({error})") from error
    if BEGIN not in text or END not in text:
        raise ValueError(f"A card must hold the lines {BEGIN} and {END}. Received: {path}")
    return text


def measured_section(rows: Sequence[Row]) -> str:
    """The measured section in Markdown: a table for each data set, and how it came about."""
    if not rows:
        return _NOTHING
    sections = [_of_data(rows, data) for data in distinct(rows, "data")]
    return "\n\n".join([*sections, *([_LOADS] if loads_of(rows) else [])])


def _of_data(rows: Sequence[Row], data: str) -> str:
    shown = "\n\n".join(markdown_table(*table) for table in tables(rows, data))
    of_data = [row for row in rows if row["data"] == data]
    trained = [row for row in of_data if row["monitor"]]
    versions = ", ".join(
        f"{name} {markdown_text('/'.join(distinct(of_data, name)))}"
        for name in ("keras_mtl", "keras", "tensorflow", "python")
    )
    monitors = ", ".join(map(markdown_code, distinct(trained, "monitor")))
    seeds = len(distinct(of_data, "seed"))
    return (
        f"### {markdown_text(data)}\n\n{shown}\n\n"
        f"Test rows, mean over {seeds} seeds, {_sizes(of_data)}; the difference is "
        "paired by seed, and parameters are those above the embeddings. The epoch was chosen on "
        f"the validation rows by {monitors}; the test rows were read once a run. "
        f"Measured {markdown_text(' and '.join(distinct(of_data, 'date')))} with {versions}."
    )


def _sizes(rows: Sequence[Row]) -> str:
    """Which networks were scaled to one budget: all but those that keep their own size."""
    own_size = list(dict.fromkeys(other for _, other in pairs(rows)))
    if not own_size:
        return "all networks with equal budgets"
    equal = [model for model in distinct(rows, "model") if model not in (*own_size, TREES)]
    if len(equal) == 1:
        return "each network at the size that its study gives it"
    return f"networks with equal budgets but for {markdown_text(', '.join(own_size))}"
