"""Sharded weights: many files that change in one step, the renaming of their index."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from keras_mtl.writing import put

_MAP = "weight_map"


def put_shards(source: Path, index: Path) -> None:
    """Moves an index and the shards beside it to where `index` stands.

    Until the index is there, the one before and all shards that it names stay as they were: the new
    shards take numbers that it does not use. Its shards are removed then.
    """
    config = json.loads(source.read_text())
    before = _numbers(index)
    shards = sorted(source.parent.glob("*.weights.h5"))
    first = 0 if before.isdisjoint(range(len(shards))) else max(before) + 1
    names = {shard.name: _name(index, first + place) for place, shard in enumerate(shards)}
    config[_MAP] = keras.tree.map_structure(names.__getitem__, config[_MAP])
    source.write_text(json.dumps(config, indent=4))
    for shard in shards:
        put(shard, index.with_name(names[shard.name]))
    put(source, index)
    for number in before - {0}:
        index.with_name(_name(index, number)).unlink(missing_ok=True)
    if first:
        _put_empty(source.with_name(_name(index, 0)), index.with_name(_name(index, 0)))


def _numbers(index: Path) -> set[int]:
    """The numbers of the shards that an index names; none where it is missing or damaged."""
    with suppress(OSError, ValueError, KeyError):
        config: Any = json.loads(index.read_text())
        pattern = re.compile(re.escape(_base(index)) + r"_(\d{5,})\.weights\.h5")
        matches = map(pattern.fullmatch, keras.tree.flatten(config[_MAP]))
        return {int(match[1]) for match in matches if match}
    return set()


def _put_empty(source: Path, target: Path) -> None:
    """An empty file in place of the first shard, which Keras opens whatever it holds."""
    import h5py

    h5py.File(source, "w").close()
    put(source, target)


def _name(index: Path, number: int) -> str:
    return f"{_base(index)}_{number:05}.weights.h5"


def _base(index: Path) -> str:
    return index.stem.replace(".weights", "")  # as Keras names its shards
