"""Models and weights are saved aside and renamed: the file before is whole until the new one is."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras.src.utils import file_utils, io_utils  # what Keras itself asks, and how it asks
from keras.src.utils.summary_utils import weight_memory_size

from keras_mtl.training.saved_folders import put_folder
from keras_mtl.training.shards import put_shards
from keras_mtl.writing import aside_folder, check_room, put


def save_model(
    model: keras.Model,
    save: Callable[..., None],
    filepath: Any,
    overwrite: bool,
    zipped: bool | None,
    **kwargs: Any,
) -> None:
    """Calls `save`, that of Keras, on a path aside, and moves what it wrote to `filepath`.

    Remote paths, and whatever Keras refuses, are left to Keras.

    Raises:
        OSError: If there is less room than the weights take, before they are written.
    """
    in_zip = zipped is None or bool(zipped)
    path = str(filepath)
    target = None
    if path.endswith(".keras") == in_zip:
        target = _file(path) if in_zip else _folder(path)
    if target is None:
        save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)
    elif _may_write(path, overwrite):
        with _aside(model, path, target) as aside:
            save(aside, zipped=zipped, **kwargs)
            (put if in_zip else put_folder)(aside, target)


def save_weights(
    model: keras.Model,
    save: Callable[..., None],
    filepath: Any,
    overwrite: bool,
    max_shard_size: float | None,
) -> None:
    """As `save_model`, with the arguments of `keras.Model.save_weights`."""
    path = str(filepath)
    is_sharded = max_shard_size is not None
    target = None
    if is_sharded and path.endswith(("weights.h5", "weights.json")):
        target = _file(str(Path(path).with_suffix(".json")), follow=False)  # shards lie beside it
    elif not is_sharded and path.endswith(".weights.h5"):
        target = _file(path)
    if target is None:
        save(filepath, overwrite=overwrite, max_shard_size=max_shard_size)
    elif _may_write(path, overwrite):
        _warn_of_ending(path, target, is_sharded)
        with _aside(model, target.name if is_sharded else path, target) as aside:
            save(aside, max_shard_size=max_shard_size)
            (put_shards if is_sharded else put)(aside, target)


@contextmanager
def _aside(model: keras.Model, path: str, target: Path) -> Iterator[Path]:
    """A path with the name of `path`, whose ending Keras asks for: `target` may lack it."""
    optimizer = getattr(model, "optimizer", None)
    weights = [*model.variables, *(optimizer.variables if optimizer else [])]
    with aside_folder(target.parent) as folder:
        check_room(folder, int(weight_memory_size(weights)), target)
        yield folder / Path(path).name


def _file(path: str, follow: bool = True) -> Path | None:
    """The file that `path` leads to, or None if Keras must write it, or refuse it, itself."""
    if file_utils.is_remote_path(path):
        return None
    target = Path(os.path.realpath(path if follow else os.path.dirname(path)))
    target = target if follow else target / os.path.basename(path)
    is_new = not target.exists()
    if not (is_new or (target.is_file() and os.access(target, os.W_OK))):
        return None  # a folder, a device, or a file that is locked against writing
    if os.access(target.parent, os.W_OK | os.X_OK):
        return target
    if not is_new:
        warnings.warn(
            f"{target} is written over in place, and lost if that is cut off: its folder takes no "
            "new files. Save to a folder that does.",
            stacklevel=4,
        )
    return None


def _folder(path: str) -> Path | None:
    """As `_file`, for a folder; its parents are made, as Keras makes them."""
    if file_utils.is_remote_path(path):
        return None
    target = Path(os.path.realpath(path))
    if target.exists() and not (target.is_dir() and os.access(target, os.W_OK)):
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    return target if os.access(target.parent, os.W_OK | os.X_OK) else None


def _warn_of_ending(path: str, target: Path, is_sharded: bool) -> None:
    # Keras' own warning would name the path aside.
    if is_sharded and not path.endswith(".json"):
        warnings.warn(
            "Saving sharded weights requires `*.json` as the extension. The original path: "
            f"{path} will be renamed to {target}.",
            stacklevel=4,
        )


def _may_write(path: str, overwrite: bool) -> bool:
    return overwrite or not os.path.exists(path) or io_utils.ask_to_proceed_with_overwrite(path)
