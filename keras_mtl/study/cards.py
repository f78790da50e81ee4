"""The measured section of a card, written from the results beside it and never by hand."""

import re
from collections.abc import Sequence
from pathlib import Path

from keras_mtl.study.comparison import BASELINE, HEADER, compared
from keras_mtl.study.folders import write_text
from keras_mtl.study.results import Row, distinct, read_results, write_results
from keras_mtl.study.tables import markdown_table
from keras_mtl.study.trees import NAME as TREES

CARD, RESULTS = "README.md", "results.csv"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
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
    ours = [row for row in rows if row["model"].split(" ")[0] in (model, *beside)]
    new = distinct(ours, "data")
    kept = [row for row in read_results(folder / RESULTS) if row["data"] not in new]
    write_results(folder / RESULTS, [*kept, *ours])
    write_card(folder)


def write_card(folder: Path) -> None:
    """Rewrites what stands between the two markers of a card from the results beside it."""
    fill_measured(folder / CARD, measured_section(read_results(folder / RESULTS)))


def fill_measured(path: Path, section: str) -> None:
    """Puts `section` between the two markers of a Markdown file."""
    text = read_card(path)
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    write_text(path, pattern.sub(lambda _: f"{BEGIN}\n{section}\n{END}", text))


def read_card(path: Path) -> str:
    """The text of a card.

    Raises:
        ValueError: where there is no card, or one without the two markers.
    """
    text = path.read_text() if path.exists() else ""
    if BEGIN not in text or END not in text:
        raise ValueError(f"A card must hold the lines {BEGIN} and {END}. Received: {path}")
    return text


def measured_section(rows: Sequence[Row]) -> str:
    """The measured section in Markdown: a table for each data set, and how it came about."""
    if not rows:
        return _NOTHING
    return "\n\n".join(_of_data(rows, data) for data in distinct(rows, "data"))


def _of_data(rows: Sequence[Row], data: str) -> str:
    table = markdown_table(HEADER, [line.cells() for line in compared(rows, data)])
    of_data = [row for row in rows if row["data"] == data]
    trained = [row for row in of_data if row["monitor"]]
    versions = ", ".join(
        f"{name} {'/'.join(distinct(of_data, name))}"
        for name in ("keras_mtl", "keras", "tensorflow", "python")
    )
    seeds = len(distinct(of_data, "seed"))
    return (
        f"### {data}\n\n{table}\n\n"
        f"Test rows, mean over {seeds} seeds, all networks with equal budgets; the difference is "
        "paired by seed, and parameters are those above the embeddings. The epoch was chosen on "
        "the validation rows by "
        f"`{'`, `'.join(distinct(trained, 'monitor'))}`; the test rows were read once a run. "
        f"Measured {' and '.join(distinct(of_data, 'date'))} with {versions}."
    )
