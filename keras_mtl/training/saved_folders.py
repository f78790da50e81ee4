"""An unzipped model takes the place of the one before in one step."""

import ctypes
import os
import secrets
import shutil
from pathlib import Path

from keras_mtl.writing import flush, put, sync

_HERE = -100  # AT_FDCWD: paths are as they stand
_EXCHANGE = 2  # RENAME_EXCHANGE


def put_folder(source: Path, target: Path) -> None:
    """Moves a folder to `target`; what else lay in a folder of that name stays in it.

    Where the system cannot exchange two folders, the old one is `NAME.old-*` between two renames.
    """
    if not target.exists():
        put(source, target)
        return
    _copy_others(target, source)
    shutil.copymode(target, source)
    flush(source)
    if not _exchange(source, target):
        old = target.rename(target.with_name(f"{target.name}.old-{secrets.token_hex(4)}"))
        source.rename(target)
        shutil.rmtree(old)
    sync(target.parent)


def _copy_others(target: Path, source: Path) -> None:
    for entry in target.iterdir():
        copy = source / entry.name
        if copy.exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, copy, symlinks=True)
        else:
            shutil.copy2(entry, copy, follow_symlinks=False)


def _exchange(left: Path, right: Path) -> bool:
    """Whether Linux let two folders change places."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    return rename(_HERE, bytes(left), _HERE, bytes(right), _EXCHANGE) == 0
