"""Damaged files of models: refused, or the same model; never other numbers without a word.

`keras.saving.load_model` reads them. A `.keras` file is an archive with a checksum for each member,
so what a disk or a network breaks is found; this pins that down for a model with a table.
"""

import io
import json
import random
import warnings
import zipfile

import keras
import numpy as np
import pytest

from keras_mtl import zoo
from keras_mtl.features import Category, Numeric, Sequence, TabularFeatures

RAW = {"c": ["a", "b"], "n": [1.0, 2.0], "q": [["a"], ["b"]]}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Bytes of a model's file, packed rows, their predictions, and a path to write to."""
    columns = [Category("c"), Numeric("n"), Sequence("q", max_length=2)]
    table = TabularFeatures(columns, embedding_dim=2).adapt(RAW)
    model = zoo.shared_bottom(table, ["x", "y"], bottom_units=3, tower_units=(), seed=1)
    path = tmp_path_factory.mktemp("files") / "model.keras"
    model.save(path)
    packed = table.encode(RAW)
    return path.read_bytes(), packed, model.predict_on_batch(packed), path.with_name("bad.keras")


def outcome(saved, content):
    """`refused`, `same` or `other`."""
    _, packed, expected, path = saved
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = keras.saving.load_model(path)
    except Exception:  # Keras', zipfile's, json's and h5py's own
        return "refused"
    predictions = model.predict_on_batch(packed)
    same = all(np.array_equal(predictions[name], expected[name]) for name in expected)
    return "same" if same else "other"


def rewritten(content, name, change):
    """The archive with one member changed, or left out, and checksums that agree."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            data = change(data) if member == name else data
            if data is not None:
                new.writestr(member, data)
    return target.getvalue()


def flipped(content, rng):
    data = bytearray(content)
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def check_damage(saved, times):
    rng = random.Random(times)
    content = saved[0]
    for _ in range(times):
        assert outcome(saved, content[: rng.randrange(len(content))]) == "refused"
        assert outcome(saved, flipped(content, rng)) in ("refused", "same")
        hole = rng.randrange(len(content) - 512)
        holed = content[:hole] + bytes(512) + content[hole + 512 :]
        assert outcome(saved, holed) in ("refused", "same")


def test_an_undamaged_file_is_the_same_model(saved):
    assert outcome(saved, saved[0]) == "same"


def test_cut_and_flipped_files(saved):
    check_damage(saved, 15)


@pytest.mark.slow
def test_many_cut_and_flipped_files(saved):
    check_damage(saved, 300)


@pytest.mark.parametrize("content", [b"", b"not a model\n" * 99, b"PK\x03\x04", b"\0" * 4096])
def test_other_files(saved, content):
    assert outcome(saved, content) == "refused"


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="File format not supported"):
        keras.saving.load_model(tmp_path)


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_missing_and_broken_members(saved, member):
    for change in (lambda data: None, lambda data: b"", lambda data: data[: len(data) // 2]):
        assert outcome(saved, rewritten(saved[0], member, change)) == "refused"


def test_a_configuration_with_a_part_missing(saved):
    with zipfile.ZipFile(io.BytesIO(saved[0])) as archive:
        config = json.loads(archive.read("config.json"))

    def without(path):
        copy = json.loads(json.dumps(config))
        *parents, last = path
        inner = copy
        for key in parents:
            inner = inner[key]
        del inner[last]
        return rewritten(saved[0], "config.json", lambda data: json.dumps(copy).encode())

    names = [layer["class_name"] for layer in config["config"]["layers"]]
    table = ("config", "layers", names.index("TabularEmbedding"), "config", "table")
    head = ("config", "layers", names.index("TaskOutput"), "config", "task")
    for path in (
        *[("config",), ("class_name",), ("config", "layers"), (*head, "config", "name"), head],
        *[table, (*table, "config", "columns"), (*table, "config", "learned")],
        *[(*table, "config", "learned", part) for part in ("vocabularies", "standardizations")],
    ):
        assert outcome(saved, without(path)) == "refused", path
