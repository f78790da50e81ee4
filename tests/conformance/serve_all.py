"""Serves every export of a folder in one process without Keras; run as a script.

    python -P serve_all.py SERVER_PROCESS.py FOLDER

Each folder in FOLDER holds an export `1` and a file `requests`, and gets a file `answers`.
"""

import runpy
import sys
from pathlib import Path


def main(server: str, folder: str) -> None:
    serve = runpy.run_path(server)["main"]
    for export in sorted(Path(folder).iterdir()):
        serve(str(export / "1"), str(export / "requests"), str(export / "answers"))
    assert not {"keras", "keras_mtl"} & {name for name, module in sys.modules.items() if module}


if __name__ == "__main__":
    main(*sys.argv[1:])
