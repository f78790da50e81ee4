"""What can be typed after `keras-mtl`."""

import argparse
from pathlib import Path

from keras_mtl_command.package import version

# NumPy, which Keras seeds as well, takes no more.
_SEEDS = 2**32


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command line: a command, and its options."""
    parser = argparse.ArgumentParser(
        prog="keras-mtl", description="Multi-task models on Keras: studies from the shell."
    )
    parser.add_argument("--version", action="version", version=f"keras-mtl {version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="systems, data sets, and study files of this folder")
    start = commands.add_parser("init", help="write a study that runs, to begin with")
    start.add_argument(
        "study", type=Path, nargs="?", default=Path("study.toml"), metavar="STUDY.toml"
    )
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
    seeds.add_argument("--seed", type=_natural, metavar="S", help="one run with this seed")
    seeds.add_argument(
        "--seeds",
        type=_positive,
        metavar="N",
        help="runs with the seeds 0 to N - 1; more than before trains only the new ones",
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: a new folder in runs/")
    command.add_argument(
        "--strategy",
        choices=("default", "mirrored", "multi_worker"),
        default="default",
        help="of tf.distribute: all GPUs of this machine, or of those in TF_CONFIG",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"must be a positive integer. Received: {text}")
    return int(text)


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) >= _SEEDS:
        raise argparse.ArgumentTypeError(
            f"must be an integer of at least 0 and below 2**32. Received: {text}"
        )
    return int(text)
