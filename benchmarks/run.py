"""Measures the package and its peers: `python benchmarks/run.py`."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import data, encoding, startup, training
from benchmarks.contenders import ENTRIES, Entry
from benchmarks.figures import Origin, append_csv
from benchmarks.readme import write_readme
from benchmarks.setting import Setting
from benchmarks.workload import Sizes

BENCHMARKS = {"training": training.run, "startup": startup.run, "encoding": encoding.run}
README = Path(__file__).resolve().parents[1] / "README.md"
RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Runs what was asked for, prints tables and adds to the CSV; a sentence and 1 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    split = data.load(options.data, options.data_dir, options.rows, options.seed)
    sizes = Sizes(batch_size=options.batch_size, seed=options.seed)
    origin = Origin.here(options.seed, options.data, len(split), options.rounds)
    print(f"{origin.cpu}, {origin.cores} cores; {origin.data}, {origin.rows:,} rows", end="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        work = data.encode(split, sizes)
        work.write(Path(folder))
        setting = Setting(
            split,
            work,
            Path(folder),
            options.only or ENTRIES,
            dict(options.peer_python),
            options.rounds,
        )
        for name in options.benchmarks or BENCHMARKS:
            result = BENCHMARKS[name](setting)
            print(result.table, end="\n\n")
            append_csv(options.out / f"{name}.csv", result.figures, origin)
    if options.readme:
        write_readme(README, options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    add = parser.add_argument
    add(
        "benchmarks",
        nargs="*",
        type=_benchmark,
        metavar="BENCHMARK",
        help=f"any of {', '.join(BENCHMARKS)}",
    )
    add("--data", choices=("census_income", "synthetic"), default="census_income")
    add("--data-dir", help="folder of census_income; default: the variable KERAS_MTL_DATA")
    add("--rows", type=_count, default=0, help="take only the first rows")
    add("--rounds", type=_count, default=5, help="epochs, starts or passes of each contender")
    add("--batch-size", type=_count, default=1024)
    add("--seed", type=int, default=0)
    add("--out", type=Path, default=RESULTS, help="folder of the CSV files")
    add("--readme", action="store_true", help="write the README's measured section, too")
    add(
        "--only",
        type=_entry,
        action="append",
        metavar="CONTENDER",
        help=f"may be repeated; any of: {'; '.join(entry.name for entry in ENTRIES)}",
    )
    add(
        "--peer-python",
        type=_peer_python,
        action="append",
        default=[],
        metavar="PACKAGE=PATH",
        help="interpreter that has a peer's package (deepctr, torch); default: this one",
    )
    return parser


def _benchmark(text: str) -> str:
    return _one_of("a benchmark", text, BENCHMARKS)


def _entry(text: str) -> Entry:
    by_name = {entry.name: entry for entry in ENTRIES}
    return by_name[_one_of("a contender", text, by_name)]


def _one_of(what: str, text: str, known: Iterable[str]) -> str:
    if text not in known:
        raise argparse.ArgumentTypeError(f"must be {what}: {'; '.join(known)}. Received: {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive number. Received: {text!r}")
    return int(text)


def _peer_python(text: str) -> tuple[str, str]:
    package, _, path = text.partition("=")
    peers = sorted({entry.package for entry in ENTRIES})
    if not path or package not in peers:
        raise argparse.ArgumentTypeError(
            f"must be PACKAGE=PATH, with a package of {', '.join(peers)}. Received: {text!r}"
        )
    return package, path


if __name__ == "__main__":
    sys.exit(main())
