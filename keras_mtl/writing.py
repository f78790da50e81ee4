"""Files and folders are written aside and renamed: under their names they are whole, or absent."""

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # on Windows no folder counts as abandoned
    fcntl = None  # type: ignore[assignment]

ASIDE = ".keras_mtl-"  # no version number: a server that polls the folder passes it over
LOCK, CONTENT = "lock", "new"


@contextmanager
def aside_folder(parent: Path) -> Iterator[Path]:
    """A new folder within `parent`, with a name that nobody can foresee; gone at the end.

    Folders of this kind that killed processes left in `parent` are removed first.
    """
    remove_abandoned(parent)
    folder, lock = _locked_folder(parent)
    try:
        (folder / CONTENT).mkdir()
        yield folder / CONTENT
    except BaseException:
        _free(folder)
        raise
    finally:
        _remove(folder)
        if lock is not None:
            lock.close()


def check_room(folder: Path, size: int, target: Path) -> None:
    """Raises `OSError`, as writing would, if the disk of `folder` has less than `size` bytes."""
    disk = shutil.disk_usage(folder)
    if disk.free < size and disk.total:  # file systems over a network may tell nothing
        sentence = f"Saving needs {size} bytes, and {disk.free} are free"
        raise OSError(errno.ENOSPC, sentence, str(target))


def put(source: Path, target: Path) -> None:
    """Flushes a file or folder to disk and renames it to `target`, whose permissions it takes."""
    with suppress(FileNotFoundError):
        _keep_access(source, target)
    flush(source)
    os.replace(source, target)
    sync(target.parent)


def flush(path: Path) -> None:
    """Waits until a file, or a folder with all that it holds, is on disk."""
    for folder, _, files in os.walk(path, topdown=False):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))
    if path.is_file():
        sync(path)


def remove_abandoned(parent: Path) -> None:
    """Removes the folders in `parent` that were made for writing aside and that no process holds.

    Only a lock tells whether a process lives. Where a file system has none, all folders stay.
    """
    if fcntl is None:
        return
    with os.scandir(parent) as entries:
        folders = [
            Path(entry)
            for entry in entries
            if entry.name.startswith(ASIDE) and entry.is_dir(follow_symlinks=False)
        ]
    for folder in folders:
        # An empty one was left before its lock was made. Its owner, if it lives, makes another.
        with suppress(OSError):
            folder.rmdir()
        with suppress(OSError), (folder / LOCK).open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)


def _locked_folder(parent: Path) -> tuple[Path, BinaryIO | None]:
    """A folder of this process, and the file that says so as long as it is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=ASIDE, dir=parent))
        if fcntl is None:
            return folder, None
        try:
            lock = (folder / LOCK).open("xb")
        except FileNotFoundError:  # another process removed it: it was empty
            continue
        except OSError:
            folder.rmdir()
            raise
        if _hold(lock):
            return folder, lock
        lock.close()


def _hold(lock: BinaryIO) -> bool:
    """Locks a file; False if another process took its folder for an abandoned one before that."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nobody removes the folder
        pass
    return os.path.exists(lock.name)


def _remove(folder: Path) -> None:
    # The lock goes last: a kill in between leaves what the next process can remove.
    shutil.rmtree(folder / CONTENT, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _free(folder: Path) -> None:
    """Gives back the room of files that stay open after an error, as those of HDF5 do."""
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                os.truncate(path, 0)


def _keep_access(source: Path, target: Path) -> None:
    """Gives `source` the permissions and, where this process may, the owner of `target`."""
    was = target.stat()
    if source.stat().st_mode != was.st_mode:
        source.chmod(stat.S_IMODE(was.st_mode))
    if hasattr(os, "chown") and (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(OSError):
            os.chown(source, was.st_uid, was.st_gid)


def sync(path: Path) -> None:
    """Waits until one file, or the names in one folder, are on disk."""
    windows = os.name == "nt"
    if windows and path.is_dir():  # Windows opens no folder
        return
    number = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
