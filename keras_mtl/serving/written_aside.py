"""Exports appear under their names whole, or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
    aside = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name that is no version number: a server that polls the folder passes it over.
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield aside / target.name
        (aside / target.name).rename(target)
    except BaseException:
        _remove(aside)
        for parent in made:
            with suppress(OSError):  # never made, or somebody else writes there now
                parent.rmdir()
        raise
    _remove(aside)


def _remove(aside: Path | None) -> None:
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)
