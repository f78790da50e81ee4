"""The README's measured section, written from the CSV files and never by hand."""

import csv
from collections.abc import Sequence
from pathlib import Path

from keras_mtl.study.cards import fill_measured
from keras_mtl.study.tables import markdown_table

HEADER = ("training", "rows/s, best epoch", "rows/s of CPU time", "first step after, s")


def write_readme(readme: Path, results: Path) -> None:
    """Rewrites what stands between the markers of `readme` from the last run of each benchmark."""
    training, startup = (_last_run(results / f"{name}.csv") for name in ("training", "startup"))
    contenders = list(dict.fromkeys(row["contender"] for row in training))
    lines = [
        (
            name,
            _value(training, name, "best epoch"),
            _value(training, name, "best CPU time"),
            _value(startup, name, "first step"),
        )
        for name in contenders
    ]
    fill_measured(readme, f"{markdown_table(HEADER, lines)}\n\n{_origin(training)}")


def _last_run(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["date"] == rows[-1]["date"]]


def _value(rows: Sequence[dict[str, str]], contender: str, measure: str) -> str:
    values = [
        float(row["value"])
        for row in rows
        if (row["contender"], row["measure"]) == (contender, measure)
    ]
    return (
        f"{values[0]:,.0f}" if values and values[0] >= 100 else "".join(f"{v:.1f}" for v in values)
    )


def _origin(rows: Sequence[dict[str, str]]) -> str:
    first = rows[0]
    versions = sorted({name for row in rows for name in row["versions"].split()})
    return (
        f"MMoE of 8 experts (128, 64) with towers of 32 on {int(first['rows']):,} rows of "
        f"{first['data']}, batches of 1024, Adam; each contender in its own process, epochs in "
        f"turn, {first['rounds']} rounds. The matrix products alone are the limit. The defaults "
        "are 16 steps a call without XLA: where these two rows differ, it is the machine's noise. "
        f"{first['cpu']}, {first['cores']} cores, {first['date'][:10]}; {', '.join(versions)}. "
        "`python benchmarks/run.py --readme` measures again."
    )
