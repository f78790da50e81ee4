"""The README's measured section, written from the CSV files and never by hand."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.contenders import CAPACITY_FACTOR, DENSE, DENSE_XLA, OURS_BEST, RATE
from benchmarks.sparse import SECONDS, Layer
from keras_mtl.study.cards import fill_measured
from keras_mtl.study.tables import markdown_table

Row = Mapping[str, str]


def write_readme(readme: Path, results: Path) -> None:
    """Rewrites what stands between the markers of `readme` from the last run of each benchmark.

    Raises:
        ValueError: if there is no figure, or the README has no such markers.
    """
    runs = {name: _last_run(results / f"{name}.csv") for name in SECTIONS}
    parts = [
        f"{section(runs[name])}\n\n{_measured(name, runs[name][0])}"
        for name, section in SECTIONS.items()
        if runs[name]
    ]
    if not parts:
        raise ValueError(f"Folder `{results}` must hold figures. Received: none")
    every = [row for rows in runs.values() for row in rows]
    fill_measured(readme, "\n\n".join([*parts, _origin(every)]))


def _training(rows: Sequence[Row]) -> str:
    """A table a model."""
    return "\n\n".join(
        _training_of([row for row in rows if row["model"] == model])
        for model in dict.fromkeys(row["model"] for row in rows)
    )


def _training_of(rows: Sequence[Row]) -> str:
    model, ours = rows[0]["model"], _value(rows, OURS_BEST, "best epoch")
    lines = []
    for name in dict.fromkeys(row["contender"] for row in rows):
        best, thrift, parameters = (
            _value(rows, name, measure) for measure in ("best epoch", "best CPU time", "parameters")
        )
        if name != RATE:
            ratio = f"{ours / best:.2f}" if ours and best else ""
            lines.append((name, *map(_whole, (parameters, best, thrift)), ratio))
    header = ("parameters", "rows/s, best epoch", "rows/s of CPU time", "ours is faster by")
    return markdown_table((f"training, {model}", *header), lines)


def _startup(rows: Sequence[Row]) -> str:
    lines = []
    for model, name in dict.fromkeys((row["model"], row["contender"]) for row in rows):
        own = [row for row in rows if row["model"] == model]
        seconds = (
            _value(own, name, measure) for measure in ("first step", "first step, with imports")
        )
        lines.append((name, model, *("" if s is None else f"{s:.1f}" for s in seconds)))
    header = ("first step after", "model", "s", "s, with imports")
    return markdown_table(header, lines)


def _encoding(rows: Sequence[Row]) -> str:
    lines = [
        (row["measure"], row["contender"], _whole(float(row["value"])))
        for row in rows
        if row["unit"] == "rows/s"
    ]
    return markdown_table(("raw rows", "by", "rows/s"), lines)


def _latency(rows: Sequence[Row]) -> str:
    return _by_measure(rows, "latency, ms", "ms", "")


def _scaling(rows: Sequence[Row]) -> str:
    return _by_measure(rows, "a training step, ms", "ms", "step, ")


def _sparse(rows: Sequence[Row]) -> str:
    """A line for each contender, a column for each number of experts; then what memory it takes."""
    by_experts = {
        model: [row for row in rows if row["model"] == model]
        for model in dict.fromkeys(row["model"] for row in rows)
    }
    names = dict.fromkeys(row["contender"] for row in rows)
    steps = [(n, *(_over_dense(own, n) for own in by_experts.values())) for n in names]
    memory = [
        (n, *(_whole(_value(own, n, "activations")) for own in by_experts.values()))
        for n in dict.fromkeys(r["contender"] for r in rows if r["measure"] == "activations")
    ]
    tables = [(("a step of one layer, ms (over the faster dense one)", *by_experts), steps)]
    tables += [(("activations, MiB", *by_experts), memory)] if memory else []
    layer = Layer()
    said = (
        f"One layer, {layer.width} -> {layer.hidden} -> {layer.width}, on {layer.tokens:,} tokens, "
        f"with capacity factor {CAPACITY_FACTOR} and SGD; rounds of {SECONDS:.0f} s in turn. "
        "MoE sends a token to two experts, SwitchFFN to one. Under XLA on a CPU, TensorFlow's "
        "random numbers are slow, which is what jitter costs there."
    )
    return "\n\n".join([*(markdown_table(header, lines) for header, lines in tables), said])


def _over_dense(rows: Sequence[Row], name: str) -> str:
    """Milliseconds of a step, and in brackets how many times as long as the dense layer takes."""
    best = _value(rows, name, "best step")
    dense = [ms for base in (DENSE, DENSE_XLA) if (ms := _value(rows, base, "best step"))]
    if best is None:
        return ""
    return f"{best:.2f} ({best / min(dense):.2f})" if dense else f"{best:.2f}"


def _by_measure(rows: Sequence[Row], corner: str, unit: str, prefix: str) -> str:
    """A line for each measure in `unit`, a column for each contender."""
    names = tuple(dict.fromkeys(row["contender"] for row in rows))
    lines = [
        (measure.removeprefix(prefix), *("" if v is None else f"{v:.2f}" for v in values))
        for measure in dict.fromkeys(row["measure"] for row in rows if row["unit"] == unit)
        for values in [[_value(rows, name, measure) for name in names]]
    ]
    return markdown_table((corner, *names), lines)


SECTIONS = {
    "training": _training,
    "latency": _latency,
    "scaling": _scaling,
    "startup": _startup,
    "encoding": _encoding,
    "sparse": _sparse,
}
"""What renders the last run of each benchmark, in the order of the README."""


def _last_run(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row for row in rows if row["date"] == rows[-1]["date"]]


def _value(rows: Sequence[Row], contender: str, measure: str) -> float | None:
    wanted = (contender, measure)
    values = (float(r["value"]) for r in rows if (r["contender"], r["measure"]) == wanted)
    return next(values, None)


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _measured(benchmark: str, row: Row) -> str:
    """When and on what the figures of one table were measured."""
    data = "" if benchmark == "sparse" else f", {int(row['rows']):,} rows of {row['data']}"
    rounds = "1 round" if row["rounds"] == "1" else f"{row['rounds']} rounds"
    return f"`{benchmark}`: {rounds}{data}; {row['date'][:16].replace('T', ' ')} UTC."


def _origin(rows: Sequence[Row]) -> str:
    first = rows[0]
    versions = sorted({name for row in rows for name in row["versions"].split()})
    devices = sorted({row["device"] for row in rows if row["device"] not in ("", "cpu")})
    return (
        f"MMoE of 8 experts, PLE of 2 levels with 2 shared experts and 2 a task, all (128, 64), "
        "towers of 32, batches of 1024, Adam; each contender in its own process, rounds in turn. "
        f"The last column of training divides `{OURS_BEST}` by the line's; the matrix products "
        f"alone are the limit. {first['cpu']}, {first['cores']} cores, "
        f"{', '.join([*devices, first['backend']])}, {first['precision']}; {', '.join(versions)}. "
        "[benchmarks](benchmarks/README.md) says what each computes; `python benchmarks/run.py` "
        "measures again."
    )
