"""`keras-mtl check-export`: what it prints, what it finds, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_mtl import zoo
from keras_mtl.__main__ import main
from keras_mtl.serving.export_folder import Signature, read_graph, version_folder
from keras_mtl.serving.fingerprint import check_fingerprint
from keras_mtl.serving.plain_requests import plain_requests
from keras_mtl.serving.server import Request, answer
from keras_mtl.serving.stored_variables import read_stored, storage_problems
from keras_mtl.serving.warmup import WarmupRequest, write_warmup


def test_an_export_passes_and_is_shown(exported, capsys):
    assert main(["check-export", str(exported.path.parent)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == str(exported.path)
    table = [line.split() for line in said if line.startswith(("serving_default", "packed"))]
    assert ["serving_default", "input", "seen", "string", "(B,", "?)"] in table
    assert ["serving_default", "input", "zip-code", "int64", "(B,)"] in table
    assert ["packed", "output", "stars", "float32", "(B,", "3)"] in table
    checks = [line for line in said if line.startswith(("passed", "failed"))]
    assert [line.partition("  ")[0] for line in checks] == ["passed"] * 5
    assert "14 warm-up requests" in checks[-1]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """An export of somebody else's, with a fault in each signature."""
    path = tmp_path_factory.mktemp("faulty") / "1"
    module = tf.Module()
    module.read, module.unread = tf.Variable(2.0), tf.Variable([3.0, 4.0])
    spec = tf.TensorSpec([None, 2], tf.float32, name="x")
    functions = {
        "fixed": (lambda x: {"y": x}, tf.TensorSpec([5, 2], tf.float32, name="x")),
        "scalar": (lambda x: {"y": tf.reduce_sum(x)}, spec),
        "double": (lambda x: {"y": tf.cast(x, tf.float64) * 2.0}, spec),
        "twice": (lambda x: {"y": tf.concat([x, x], 0)}, spec),
        "infinite": (lambda x: {"y": module.read * x / 0.0}, spec),
        "failing": (lambda x: {"y": tf.ensure_shape(x, [7, 2])}, spec),
    }
    signatures = {
        name: tf.function(function, input_signature=[spec], autograph=False)
        for name, (function, spec) in functions.items()
    }
    tf.saved_model.save(module, str(path), signatures=signatures)
    request = Request("twice", {"x": np.ones((1, 2), "float32")})
    write_warmup(path, "faulty", [WarmupRequest(request, {"y": np.zeros((2, 2), "float32")})])
    return path


def test_each_fault_is_found(faulty, capsys):
    assert main(["check-export", str(faulty)]) == 1
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith(("passed", "failed"))]
    batch, dtype, answers, stored, replayed = lines
    assert all(line.startswith("failed") for line in lines)
    for fault in ("fixed/x is (5, 2)", "fixed/y is (5, 2)", "scalar/y is ()"):
        assert fault in batch
    assert "twice" not in batch
    assert "double/y is float64" in dtype
    for fault in (
        "fixed, batch size 1: ",
        "scalar, batch size 3: y has shape ()",
        "twice, batch size 1: y has shape (2, 2)",
        "infinite, batch size 3: y is not finite",
        "failing, batch size 1: InvalidArgumentError",
    ):
        assert fault in answers
    assert "double, batch" not in answers
    assert "signatures read 1 variables of 4 bytes, but 2 of 12 bytes are stored" in stored
    assert "twice: y is not what was recorded" in replayed


def test_an_input_that_only_another_signature_lists_is_not_fed(tmp_path):
    """Signatures are asked together where that changes no answer."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x, unread, hidden = (tf.compat.v1.placeholder(tf.float32, [None]) for _ in range(3))
        outputs = {"fine": x + 1.0, "whole": hidden * 1.0, "lacking": hidden * 2.0}
        inputs = {"fine": {"x": x}, "whole": {"hidden": hidden}, "lacking": {"x": unread}}
        signatures = {
            name: tf.compat.v1.saved_model.predict_signature_def(inputs[name], {"y": output})
            for name, output in outputs.items()
        }
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    values = {"fine": {"x": np.ones(1, "f")}, "whole": {"hidden": np.ones(1, "f")}}
    values["lacking"] = {"x": np.ones(1, "f")}
    answers = answer(tmp_path / "1", [Request(*pair) for pair in values.items()])
    fine, whole, lacking = answers
    np.testing.assert_array_equal(fine.outputs["y"], [2.0])
    np.testing.assert_array_equal(whole.outputs["y"], [1.0])
    assert lacking.error is not None
    assert "Placeholder_2" in lacking.error


def test_an_export_by_keras_alone_stores_its_variables_twice(tmp_path):
    model = zoo.shared_bottom(3, ["a"], bottom_units=2, tower_units=2)
    keras.Model.export(model, tmp_path / "1", verbose=False)
    graph = read_graph(tmp_path / "1")
    (problem,) = storage_problems(read_stored(tmp_path / "1", graph), graph)
    assert "read 6 variables of 68 bytes, but 12 of 136 bytes are stored" in problem


def test_what_tensorflow_does_not_load_is_refused_with_its_reason(faulty, tmp_path, capsys):
    path = tmp_path / "1"
    path.mkdir()
    saved = saved_model_pb2.SavedModel.FromString((faulty / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].graph_def.library.function[0].node_def[0].op = "NoSuchOperation"
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    (path / "variables").symlink_to(faulty / "variables")
    assert main(["check-export", str(path)]) == 2
    sentence = last_line(capsys)
    assert "does not load as TF Serving loads it" in sentence
    assert "NoSuchOperation" in sentence


def last_line(capsys) -> str:
    """The only line on stderr that is not TensorFlow's."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "keras-mtl:" in line]
    return line


def cut(path, left):
    path.write_bytes(path.read_bytes()[:left])


def flip(path, place):
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 4
    path.write_bytes(damaged)


@pytest.fixture
def copied(exported, tmp_path):
    """A copy of an export, its files by short names."""
    path = tmp_path / "copy"
    for file in exported.path.rglob("*"):
        if file.is_file():
            place = path / file.relative_to(exported.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return path


@pytest.fixture
def refused(copied, capsys, monkeypatch):
    """The sentence that refuses the copied export, before any server is started."""
    monkeypatch.setattr("keras_mtl.serving.check.answer", pytest.fail)

    def sentence() -> str:
        assert main(["check-export", str(copied)]) == 2
        return last_line(capsys)

    return sentence


FILES = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_file_that_is_cut_short_is_refused(file, left, copied, refused):
    cut(copied / file, left)
    assert str(copied) in refused()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("place", [0, 30, 77, 170, -1])
def test_a_flipped_bit_is_refused(file, place, copied, refused):
    flip(copied / file, place)
    assert str(copied) in refused()


@pytest.mark.parametrize("file", FILES[1:])
def test_missing_variables_are_refused(file, copied, refused):
    (copied / file).unlink()
    assert "variables" in refused()
    # A SavedModel need not have a fingerprint.
    (copied / "fingerprint.pb").unlink()
    assert "The variables of the export are missing or damaged" in refused()


def test_damage_is_found_without_a_fingerprint(copied, refused):
    (copied / "fingerprint.pb").unlink()
    flip(copied / FILES[2], 300)
    assert "Checksum does not match" in refused()


def test_a_damaged_fingerprint_is_refused(copied, refused):
    cut(copied / "fingerprint.pb", -1)
    assert "fingerprint.pb, unreadable" in refused()


def test_a_file_without_a_fingerprint_of_its_own_is_refused(copied):
    (copied / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"The export is damaged: .*Received: .*copy"):
        check_fingerprint(copied)


def test_damaged_warmup_requests_are_refused(copied, refused):
    flip(copied / "assets.extra" / "tf_serving_warmup_requests", 100)
    assert "The warm-up requests are damaged" in refused()


def test_another_tag_is_refused(copied, refused):
    saved = saved_model_pb2.SavedModel.FromString((copied / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (copied / "saved_model.pb").write_bytes(saved.SerializeToString())
    assert "must hold a graph with the tag `serve`" in refused()


@pytest.mark.parametrize("kind", ["nothing", "a file", "an empty folder", "an empty version"])
def test_a_folder_that_is_no_export_is_refused(kind, tmp_path, capsys):
    path = tmp_path / "mine"
    if kind == "a file":
        path.write_text("mine")
    elif kind != "nothing":
        (path / "3" if kind == "an empty version" else path).mkdir(parents=True)
    assert main(["check-export", str(path)]) == 2
    found = {"an empty folder": "a folder without it", "an empty version": "a folder without it"}
    sentence = last_line(capsys)
    assert "Argument `path` must be a folder that holds saved_model.pb" in sentence
    assert sentence.endswith(f", {found.get(kind, kind)}")


def test_the_highest_version_is_taken(tmp_path):
    for name in ("2", "10", "9", ".11-aside", "backup"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    assert version_folder(tmp_path) == tmp_path / "10"
    assert version_folder(tmp_path / "9") == tmp_path / "9"


def test_plain_requests_of_all_dtypes_and_shapes():
    dtypes = ("bool", "int32", "uint8", "bfloat16", "float64", "string")
    specs = {
        dtype: tf.TensorSpec([None, 2, None], tf.as_dtype(dtype), name=dtype) for dtype in dtypes
    }
    for size, request in plain_requests({"any": Signature(specs, {})}):
        for name, array in request.inputs.items():
            assert array.shape == (size, 2, 2)
            assert array.dtype == specs[name].dtype.as_numpy_dtype
