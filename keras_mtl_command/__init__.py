"""The command `keras-mtl`, up to where it needs Keras.

A package of its own: whoever imports `keras_mtl` imports Keras and TensorFlow, which takes seconds
and prints what TensorFlow has to say. `--help`, `--version`, `list` and `init` need neither. What
the other commands do stands in `keras_mtl/__main__.py`.
"""

import difflib
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from keras_mtl_command.listing import list_all
from keras_mtl_command.parser import make_parser
from keras_mtl_command.starting import start_study


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    options = make_parser().parse_args(arguments)
    try:
        if options.command == "list":
            print(list_all())
        elif options.command == "init":
            print(start_study(options.study))
        else:
            return _with_keras(options)
    except (ValueError, OSError) as error:
        print(f"keras-mtl: {error}", file=sys.stderr)
        return 2
    return 0


def run_by_name(folder: Path, arguments: Sequence[str]) -> int:
    """`NAME ...` for `run FOLDER/NAME/study.toml ...`; without a known name, lists them."""
    names = sorted(path.parent.name for path in folder.glob("*/study.toml"))
    if not arguments or arguments[0] not in names:
        received = arguments[0] if arguments else "no name"
        nearest = difflib.get_close_matches(received, names, n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        print(
            f"python -m zoo: NAME must be one of {', '.join(names)}.{hint} Received: {received}",
            file=sys.stderr,
        )
        return 2
    return main(["run", str(folder / arguments[0] / "study.toml"), *arguments[1:]])


def _with_keras(options: Namespace) -> int:
    # Before TensorFlow loads: its complaints about a missing GPU would bury the study's own words.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_mtl.__main__ import execute

    return execute(options)
