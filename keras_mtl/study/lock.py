"""One process at a time in a study's folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there two processes are not told apart
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, the folder, which must exist, is this process's own.

    The lock is the operating system's, on the file `.lock`: it ends with its process, however that
    ends, and is no child's. The file stays, since another process may wait for the same one.

    Raises:
        ValueError: where another process has it.
    """
    # No link is followed: somebody could have put one there.
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    file = os.open(folder / LOCK, flags, 0o666)
    try:
        _lock(file, folder)
        yield
    finally:
        os.close(file)


def _lock(file: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise ValueError(
            "A study's folder must be used by one process at a time. Wait for the other one, or "
            f"name another folder with `--out`. Received: {folder}, which another process uses"
        ) from error
    except OSError:
        pass  # a file system without locks: nothing can be told there
