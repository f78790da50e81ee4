"""Exports appear under their names whole, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keras_mtl.writing import aside_folder, put


def check_free(target: Path) -> None:
    """Raises `ValueError` if `target` exists."""
    if target.exists():
        raise ValueError(
            "Argument `filepath` must name a file or folder that does not exist yet. "
            f"Received: filepath={target}"
        )


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A path for a file or folder that then becomes `target`; after an error nothing is left."""
    made = [parent for parent in target.parents if not parent.exists()]  # the deepest first
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with aside_folder(target.parent) as folder:
            yield folder / target.name
            put(folder / target.name, target)
    except BaseException:
        for parent in made:
            with suppress(OSError):  # never made, or somebody else writes there now
                parent.rmdir()
        raise
