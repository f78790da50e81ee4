"""What the command line `keras-mtl` does with Keras: run, compare, check-export.

The command itself, its options, and what needs no Keras stand in `keras_mtl_command`.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_mtl_command import main

if TYPE_CHECKING:
    from keras_mtl.study.commands import Options

INTERRUPTED = 130


def execute(given: argparse.Namespace) -> int:
    """Runs a command that needs Keras; returns the exit status."""
    # A study makes many models; TensorFlow takes each new one's trace for a mistake and says so.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
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


def _dispatch(given: argparse.Namespace) -> int:
    if given.command == "check-export":
        return _check_export(given.path)
    from keras_mtl.study import commands

    if given.command == "run":
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


if __name__ == "__main__":
    sys.exit(main())
