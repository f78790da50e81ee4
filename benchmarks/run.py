"""Measures the package and its peers: `python benchmarks/run.py`."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported

import keras

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import checking, data, encoding, latency, scaling, sparse, startup, training
from benchmarks.contenders import ENTRIES, MODELS, PRECISIONS, Entry, taking_part
from benchmarks.figures import Origin, append_csv
from benchmarks.readme import write_readme
from benchmarks.setting import Setting
from benchmarks.workload import Sizes

BENCHMARKS = {
    "training": training.run,
    "latency": latency.run,
    "scaling": scaling.run,
    "startup": startup.run,
    "encoding": encoding.run,
    "sparse": sparse.run,
    "checking": checking.run,
}
NAMES = tuple(dict.fromkeys(entry.name for entry in ENTRIES))
README = Path(__file__).resolve().parents[1] / "README.md"
RESULTS = Path(__file__).resolve().parent / "results"


def main(arguments: list[str] | None = None) -> int:
    """Runs what was asked for, prints tables and adds to the CSV; a sentence and 1 on bad input."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.benchmarks or not options.readme:
        _measure(options)
    if options.readme:
        write_readme(README, options.out)


def _measure(options: argparse.Namespace) -> None:
    entries = taking_part(_chosen(options), keras.backend.backend(), options.precision)
    split = data.load(options.data, options.data_dir, options.rows, options.seed)
    sizes = Sizes(batch_size=options.batch_size, seed=options.seed)
    origin = Origin.here(
        *(options.seed, options.data, len(split), options.rounds),
        *(keras.backend.backend(), options.precision),
    )
    print(
        f"{origin.cpu}, {origin.cores} cores; {origin.data}, {origin.rows:,} rows; "
        f"{origin.backend}, {origin.precision}",
        end="\n\n",
    )
    with tempfile.TemporaryDirectory() as folder:
        work = data.encode(split, sizes)
        work.write(Path(folder))
        pythons = dict(options.peer_python)
        setting = Setting(split, work, Path(folder), entries, pythons, options.rounds)
        for name in options.benchmarks or BENCHMARKS:
            result = BENCHMARKS[name](setting)
            if not result.figures and options.benchmarks:
                raise ValueError(f"Nobody could take part in `{name}`: nothing was measured.")
            if not result.figures:
                print(f"Left out: {name}, since nobody could take part", file=sys.stderr)
                continue
            print(result.table, end="\n\n", flush=True)
            append_csv(options.out / f"{name}.csv", result.figures, origin)


def _chosen(options: argparse.Namespace) -> list[Entry]:
    wanted = set(options.benchmarks or BENCHMARKS)
    return [
        entry
        for entry in ENTRIES
        if wanted.intersection(entry.benchmarks)
        and (not options.only or entry.name in options.only)
        and (not options.model or entry.model in options.model)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    add = parser.add_argument
    add(
        "benchmarks",
        nargs="*",
        type=_benchmark,
        metavar="BENCHMARK",
        help=f"any of {', '.join(BENCHMARKS)}; all unless given",
    )
    add("--data", choices=("census_income", "synthetic"), default="census_income")
    add("--data-dir", help="folder of census_income; default: the variable KERAS_MTL_DATA")
    add("--rows", type=_count, default=0, help="take only the first rows")
    add("--rounds", type=_count, default=5, help="epochs, starts or passes of each contender")
    add("--batch-size", type=_count, default=1024)
    add("--seed", type=int, default=0)
    add("--precision", choices=PRECISIONS, default="float32", help="of ours and of the limit")
    add("--model", choices=MODELS, action="append", help="may be repeated; all unless given")
    add("--out", type=Path, default=RESULTS, help="folder of the CSV files")
    add(
        "--readme",
        action="store_true",
        help="write the README's measured section from the newest figures; "
        "without a BENCHMARK, measure nothing before",
    )
    add(
        "--only",
        type=_entry,
        action="append",
        metavar="CONTENDER",
        help=f"may be repeated; any of: {'; '.join(NAMES)}",
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


def _entry(text: str) -> str:
    return _one_of("a contender", text, NAMES)


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
    if shutil.which(path) is None:
        raise argparse.ArgumentTypeError(f"must name an interpreter. Received: {text!r}")
    return package, path


if __name__ == "__main__":
    sys.exit(main())
