"""Where a data set's files are: in a named folder, or in the one that the environment names."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

DATA_VARIABLE = "KERAS_MTL_DATA"


def find_files(
    data_dir: str | os.PathLike[str] | None,
    folder: str,
    names: Sequence[str],
    suffixes: Iterable[str],
    publisher: str,
) -> list[Path]:
    """The files `names`, plain or with one of `suffixes`, in `data_dir` or in its own `folder`.

    Raises:
        FileNotFoundError: If they are in neither, or no folder is named; with the publisher.
    """
    if not isinstance(data_dir, str | os.PathLike | None):
        raise TypeError(
            f"Argument `data_dir` must be the path of a folder. Received: data_dir={data_dir!r}"
        )
    endings = ("", *suffixes)
    given = os.environ.get(DATA_VARIABLE) if data_dir is None else data_dir
    for place in () if given is None else (Path(given), Path(given) / folder):
        found = [_find(place, name, endings) for name in names]
        present = [path for path in found if path is not None]
        if len(present) == len(names):
            return present
    *others, last = names
    raise FileNotFoundError(
        f"Argument `data_dir`, or else the environment variable {DATA_VARIABLE}, must name a "
        f"folder with the files {', '.join(others)} and {last} (plain, {' or '.join(endings[1:])})"
        f", or one with a folder {folder} that holds them. The publisher offers them at "
        f"{publisher}. "
        f"Received: data_dir={data_dir!r}, {DATA_VARIABLE}={os.environ.get(DATA_VARIABLE)!r}"
    )


def _find(folder: Path, name: str, endings: tuple[str, ...]) -> Path | None:
    paths = (folder / f"{name}{ending}" for ending in endings)
    return next((path for path in paths if path.is_file()), None)
