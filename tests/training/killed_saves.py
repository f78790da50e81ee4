"""Saves a model in children, kills them or fills their disk, and prints what they left.

`python killed_saves.py aimed FOLDER` kills at chosen moments of a save or an export, and lets no
file of a save grow,
`python killed_saves.py random FOLDER COUNT SEED` kills at any moment of endless saving.
Children are forked, so that TensorFlow starts once.
"""

import itertools
import json
import os
import random
import resource
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import h5py
import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel, zoo

SHARDS = 3
KINDS = ("m.keras", "m.weights.h5", "s.weights.json", "folder")
# What saves and exports call on their way.
MOMENTS: dict[str, tuple[Any, str]] = {
    "zip": (zipfile.ZipFile, "close"),
    "h5": (h5py.File, "close"),
    "flush": (os, "fsync"),
    "rename": (os, "replace"),
    "export": (tf.saved_model, "save"),
}
AIMED = [
    ("m.keras", "zip", 1),
    *itertools.product(KINDS, ["h5", "flush"], [1]),
    *itertools.product(["m.keras", "m.weights.h5"], ["rename"], [1]),
    *itertools.product(["s.weights.json"], ["rename"], [1, 2, SHARDS + 1, SHARDS + 2]),
]


def make_model() -> MultiTaskModel:
    model = zoo.shared_bottom(4, ["click"], bottom_units=16, tower_units=8)
    model.compile("sgd")
    return model


def fill(model: MultiTaskModel, value: float) -> None:
    model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])


def save(model: MultiTaskModel, path: Path) -> None:
    if path.suffix == ".keras":
        model.save(path)
    elif path.suffix == ".h5":
        model.save_weights(path)
    elif path.suffix == ".json":
        model.save_weights(path, max_shard_size=5e-7)
    else:
        model.save(path, zipped=False)


def value_of(path: Path) -> float | str:
    """What fills all weights of a file, or what is wrong with it."""
    try:
        if ".weights" in path.name:
            model = make_model()
            model.load_weights(path)
        else:
            model = keras.saving.load_model(path)
    except Exception as error:  # whatever a damaged file raises
        return type(error).__name__
    values = {float(x) for weight in model.get_weights() for x in weight.ravel()}
    return values.pop() if len(values) == 1 else "mixed"


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def in_child(run: Callable[[], None], seconds: float | None = None) -> str:
    """Runs in a child, for so long, and tells how it ended: in "success", "error" or a "kill"."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run()
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "kill" if code < 0 else ("success", "error")[code]


def killed_at(moment: str, call: int, run: Callable[[], None]) -> None:
    """Runs in a child that is killed before it calls the function of `moment` for the n-th time."""
    owner, name = MOMENTS[moment]
    function, calls = getattr(owner, name), itertools.count(1)

    def hook(*args: Any, **options: Any) -> Any:
        return die() if next(calls) == call else function(*args, **options)

    def hooked() -> None:
        setattr(owner, name, hook)
        run()

    if in_child(hooked) != "kill":
        raise RuntimeError(f"The moment must come. Received: {moment}, call {call}")


def asides(folder: Path) -> int:
    return len([path for path in folder.iterdir() if path.name.startswith(".")])


def killed(folder: Path) -> dict[str, Any]:
    """By file and moment: what fills it after the kill and after a save, and folders left then."""
    model, outcomes = make_model(), {}
    for kind, moment, call in AIMED:
        own = folder / f"{kind}-{moment}-{call}"
        own.mkdir()
        fill(model, 1.0)
        save(model, own / kind)
        fill(model, 2.0)
        killed_at(moment, call, lambda path=own / kind: save(model, path))  # type: ignore[misc]
        after, left = value_of(own / kind), asides(own)
        save(model, own / kind)
        outcomes[f"{kind} {moment} {call}"] = [after, left, value_of(own / kind), asides(own)]
    return outcomes


def full(folder: Path) -> dict[str, Any]:
    """By file: how the child ended, folders that it left, what fills the file then and later."""
    model, outcomes = make_model(), {}
    for kind in KINDS:
        own = folder / f"full-{kind}"
        own.mkdir()
        fill(model, 1.0)
        save(model, own / kind)
        fill(model, 2.0)

        def fail(path: Path = own / kind) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
            save(model, path)

        end = in_child(fail)
        left, after = asides(own), value_of(own / kind)
        save(model, own / kind)
        outcomes[kind] = [end, left, after, value_of(own / kind), asides(own)]
    return outcomes


def exports(folder: Path) -> dict[str, Any]:
    """By moment: what a killed export left, and what is there after the next."""
    model, outcomes = make_model(), {}
    for moment in ("export", "flush", "rename"):
        own = folder / f"export-{moment}"
        own.mkdir()
        killed_at(moment, 1, lambda path=own / "1": model.export(path, verbose=False))  # type: ignore[misc]
        left = [path.name.startswith(".keras_mtl-") for path in own.iterdir()]
        model.export(own / "2", verbose=False)
        outcomes[moment] = [left, [path.name for path in own.iterdir()]]
    return outcomes


def at_random(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """What fills the file after each of `count` kills, by file; and folders left in the end."""
    model, draws = make_model(), random.Random(seed)
    fill(model, 0.0)
    for kind in KINDS:
        save(model, folder / kind)
    outcomes: dict[str, Any] = {kind: [] for kind in KINDS}
    for kill in range(count):
        path = folder / KINDS[kill % len(KINDS)]
        in_child(lambda path=path: _save_endlessly(model, path), draws.uniform(0.0, 0.4))  # type: ignore[misc]
        outcomes[path.name].append(value_of(path))
    save(model, folder / KINDS[0])
    return {**outcomes, "asides": asides(folder)}


def _save_endlessly(model: MultiTaskModel, path: Path) -> None:
    for value in itertools.count(1):
        fill(model, float(value))
        save(model, path)


if __name__ == "__main__":
    way, where, *numbers = sys.argv[1:]
    found: dict[str, Any]
    if way == "random":
        found = at_random(Path(where), *map(int, numbers))
    else:
        found = {part.__name__: part(Path(where)) for part in (killed, full, exports)}
    print(json.dumps(found))
