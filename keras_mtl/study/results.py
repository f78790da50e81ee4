"""Rows of `results.csv`: one a run, task, metric and part of the data.

What sparse experts did on the validation rows stands there as well, under `moe/LAYER` as the task,
a name that no task can have.
"""

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_mtl.study.cells import quoted_cell, unquoted_cell
from keras_mtl.study.expert_load import EXPERTS
from keras_mtl.study.folders import write_text
from keras_mtl.study.runner import METRICS, SETTINGS

COLUMNS = (
    "study",
    "data",
    "model",
    "seed",
    "task",
    "metric",
    "split",
    "value",
    "parameters",
    "parameters_with_embeddings",
    "seconds",
    "epochs",
    "best_epoch",
    "monitor",
    "date",
    "keras_mtl",
    "keras",
    "tensorflow",
    "numpy",
    "python",
    "settings",
)
Row = dict[str, str]


def run_rows(folder: Path) -> list[Row]:
    """The rows of one finished run, read from its folder."""
    settings = json.loads((folder / SETTINGS).read_text())
    record = json.loads((folder / METRICS).read_text())
    of_run: dict[str, Any] = {
        **{key: settings[key] for key in ("study", "data", "model", "seed")},
        **{key: value for key, value in record.items() if key in COLUMNS},
        **record["versions"],
        "settings": json.dumps(settings, sort_keys=True),
    }
    return [
        {key: str(value) for key, value in {**of_run, **of_row}.items() if key in COLUMNS}
        for of_row in _figures(record)
    ]


def _figures(record: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for split in ("valid", "test"):
        for task, metrics in record[split].items():
            for metric, value in metrics.items():
                yield {"split": split, "task": task, "metric": metric, "value": f"{value:.6g}"}
    # Neither boosted trees nor runs of earlier versions tell of experts.
    for layer, figures in record.get("experts", {}).items():
        for figure, value in figures.items():
            task = f"{EXPERTS}{layer}"
            yield {"split": "valid", "task": task, "metric": figure, "value": f"{value:.6g}"}


def read_results(path: Path) -> list[Row]:
    """Rows of a results file; none where there is no file.

    Raises:
        ValueError: for a file that is none, or of which a part is missing.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file, strict=True)
        rows = [dict(zip(header, map(unquoted_cell, line), strict=True)) for line in lines]
    except (ValueError, csv.Error) as error:  # no UTF-8, no header, no CSV, too few cells
        raise ValueError(f"File {path} must be a study's results. Received: {error}") from error
    if missing := [column for column in COLUMNS if column not in header]:
        raise ValueError(f"File {path} must be a study's results. Received: no columns {missing}")
    return rows


def write_results(path: Path, rows: Iterable[Row]) -> None:
    """Writes rows with every column, aside and renamed into place.

    A cell that a spreadsheet would compute stands behind a quote, which `read_results` takes away.
    """
    cells = ([quoted_cell(row.get(column, "")) for column in COLUMNS] for row in rows)
    write_text(path, "".join(map(_line, [COLUMNS, *cells])))


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    # Of the characters that end a line, cells are quoted for those of the terminator alone.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def values_by_seed(rows: Iterable[Row], **wanted: str) -> dict[int, float]:
    """Figures of the rows whose columns are as wanted, by seed."""
    return {
        int(row["seed"]): float(row["value"])
        for row in rows
        if all(row[column] == value for column, value in wanted.items())
    }


def distinct(rows: Iterable[Row], column: str) -> list[str]:
    """What a column holds, in the order of first appearance."""
    return list(dict.fromkeys(row[column] for row in rows))
