"""The command line `keras-mtl`: list, run, compare, check-export."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mtl.checks import did_you_mean

if TYPE_CHECKING:
    from keras_mtl.study.commands import Options

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    given = _parser().parse_args(arguments)
    # A study makes many models; TensorFlow takes each new one's trace for a mistake and says so.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not {"", os.getcwd()} & {*sys.path}:
        sys.path.insert(0, os.getcwd())  # as `python -m` does: a study may load data of its own
    try:
        return _dispatch(given)
    except (ValueError, OSError, ImportError) as error:
        print(f"keras-mtl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nInterrupted. The same command goes on with the runs that are left.", file=sys.stderr
        )
        return INTERRUPTED


def run_by_name(folder: Path, arguments: Sequence[str]) -> int:
    """`NAME ...` for `run FOLDER/NAME/study.toml ...`; without a known name, lists them."""
    names = sorted(path.parent.name for path in folder.glob("*/study.toml"))
    if not arguments or arguments[0] not in names:
        received = arguments[0] if arguments else "no name"
        print(
            f"python -m zoo: NAME must be one of {', '.join(names)}."
            f"{did_you_mean(received, names)} Received: {received}",
            file=sys.stderr,
        )
        return 2
    return main(["run", str(folder / arguments[0] / "study.toml"), *arguments[1:]])


def _dispatch(given: argparse.Namespace) -> int:
    if given.command == "check-export":
        return _check_export(given.path)
    from keras_mtl.study import commands

    if given.command == "list":
        commands.list_all()
    elif given.command == "run":
        # Progress bars are for terminals; in a file they would leave a line a step.
        commands.run(given.study, _options(given), verbose=1 if sys.stdout.isatty() else 2)
    else:
        commands.compare(given.studies, _options(given), boosted=given.trees, to_cards=given.cards)
    return 0


def _check_export(path: Path) -> int:
    from keras_mtl.serving import check_export
    from keras_mtl.study.tables import text_table

    report = check_export(path)
    print(f"{report.folder}\n")
    print(
        text_table(["signature", "direction", "name", "dtype", "shape"], report.rows()), end="\n\n"
    )
    print("\n".join(map(str, report.checks)))
    return 0 if report.passed else 1


def _options(given: argparse.Namespace) -> "Options":
    from keras_mtl.study.commands import Options

    fit = {"epochs": given.epochs, "batch_size": given.batch_size}
    return Options(
        data=given.data,
        data_dir=given.data_dir,
        seeds=_seeds(given),
        out=given.out,
        strategy=given.strategy,
        fit={key: value for key, value in fit.items() if value is not None},
    )


def _seeds(given: argparse.Namespace) -> list[int] | None:
    if given.seed is not None:
        return [given.seed]
    return list(range(given.seeds)) if given.seeds else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-mtl", description="Multi-task models on Keras: studies from the shell."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="systems, data sets and study files")
    run = commands.add_parser("run", help="train a study and its single-task baseline")
    run.add_argument("study", type=Path, metavar="STUDY.toml")
    compare = commands.add_parser(
        "compare", help="train several studies with equal budgets and seeds"
    )
    compare.add_argument(
        "studies", type=Path, nargs="+", metavar="STUDY.toml", help="the first sets the budget"
    )
    compare.add_argument("--trees", action="store_true", help="boosted trees as well, one a task")
    compare.add_argument(
        "--cards", action="store_true", help="write results and card of each study's folder"
    )
    for command in (run, compare):
        _add_options(command)
    check = commands.add_parser("check-export", help="load a SavedModel as TF Serving does, try it")
    check.add_argument(
        "path", type=Path, metavar="PATH", help="folder of the export, or of its versions"
    )
    return parser


def _add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", metavar="NAME", help="data section of the file; default: the first"
    )
    command.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the data's files")
    command.add_argument("--epochs", type=_positive, metavar="N")
    command.add_argument("--batch-size", type=_positive, metavar="N")
    seeds = command.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, metavar="S", help="one run with this seed")
    seeds.add_argument(
        "--seeds", type=_positive, metavar="N", help="runs with the seeds 0 to N - 1"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: a new folder in runs/")
    command.add_argument(
        "--strategy",
        choices=("default", "mirrored", "multi_worker"),
        default="default",
        help="of tf.distribute: all GPUs of this machine, or of those in TF_CONFIG",
    )


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a positive integer. Received: {text}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
