"""Where an export is written, what is refused, and what a failure leaves behind: nothing."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, zoo


@pytest.fixture(scope="module")
def model():
    return zoo.shared_bottom(4, ["a", "b"], bottom_units=3, tower_units=2, seed=0)


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file"])
def test_an_existing_path_is_refused_and_left_as_it_was(kind, model, tmp_path):
    target = tmp_path / "1"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
    if kind == "folder":
        (target / "saved_model.pb").write_text("mine")
    before = everything_below(tmp_path)
    with pytest.raises(
        ValueError, match=r"`filepath` must name a file or folder that does not exist yet"
    ):
        model.export(target)
    assert everything_below(tmp_path) == before
    if kind != "empty folder":
        kept = target if kind == "file" else target / "saved_model.pb"
        assert kept.read_text() == "mine"


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failing_export_leaves_nothing(error, model, tmp_path, monkeypatch):
    (tmp_path / "before").mkdir()

    def fail(module, path, **options):
        with open(os.path.join(path, "saved_model.pb"), "w") as file:
            file.write("half")
        assert not (tmp_path / "models" / "new" / "1").exists(), "written aside"
        raise error

    monkeypatch.setattr(tf.saved_model, "save", fail)
    with pytest.raises(type(error)):
        model.export(tmp_path / "models" / "new" / "1")
    assert everything_below(tmp_path) == ["before"]
    monkeypatch.undo()
    model.export(tmp_path / "models" / "new" / "1", verbose=False)
    assert everything_below(tmp_path / "models")[:2] == ["new", "new/1"]


def test_missing_parents_are_made(model, tmp_path):
    model.export(str(tmp_path / "deep" / "er" / "7"), verbose=False)
    assert tf.saved_model.contains_saved_model(str(tmp_path / "deep" / "er" / "7"))


def test_a_verbose_export_names_its_signatures(model, tmp_path, capsys):
    model.export(tmp_path / "1", verbose=False)
    assert not capsys.readouterr().out
    model.export(tmp_path / "2")
    assert "serving_default, a, b, packed, examples" in capsys.readouterr().out


@pytest.mark.parametrize("format", ["openvino", "litert"])
def test_other_formats_are_those_of_keras(format, model, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(keras.Model, "export", lambda self, *args, **kw: calls.append((args, kw)))
    model.export(tmp_path / "model.x", format=format, opset_version=18)
    ((args, given),) = calls
    assert args == (tmp_path / "model.x",)
    assert given["format"] == format
    assert given["opset_version"] == 18


def test_another_backend_is_refused_with_the_way_out(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match=r"KERAS_BACKEND=tensorflow .* backend='jax'"):
        model.export(tmp_path / "1")
    assert everything_below(tmp_path) == []


def hand_written(structure):
    left, right = keras.Input((2,), name="left in"), keras.Input((3,), name="right")
    hidden = keras.layers.Concatenate()([left, right])
    outputs = {"t": keras.layers.Dense(1, "sigmoid")(hidden)}
    return MultiTaskModel(inputs=structure(left, right), outputs=outputs, tasks=["t"])


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict:UserWarning")
@pytest.mark.parametrize(
    ("structure", "names"),
    [
        (lambda left, right: [left, right], ["left in", "right"]),
        (lambda left, right: {"right": right, "left in": left}, ["left in", "right"]),
        (lambda left, right: {"z": left, "right": right}, ["z", "right"]),
    ],
)
def test_inputs_of_a_hand_written_graph(structure, names, tmp_path):
    model = hand_written(structure)
    x, y = np.ones((3, 2), "float32"), np.full((3, 3), 2.0, "float32")
    expected = model(structure(x, y))["t"]
    model.export(tmp_path / "1", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    sent = dict(zip(names, (tf.constant(x), tf.constant(y)), strict=True))
    for signature in ("serving_default", "packed", "t"):
        found = loaded.signatures[signature](**sent)["t"]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "1"))
    assert sorted(graph.signature_def["packed"].inputs) == sorted(names)


def test_dense_tasks_keep_their_axes(tmp_path):
    image = keras.Input((4, 4, 2), name="image")
    model = zoo.shared_bottom(image, ["pixel"], bottom_units=3, tower_units=2)
    model.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["pixel"]
    assert served(image=tf.zeros((5, 4, 4, 2)))["pixel"].shape == (5, 4, 4, 1)


def test_a_verbose_export_of_many_tasks_says_a_short_line(tmp_path, capsys):
    zoo.shared_bottom(3, [f"t{i}" for i in range(30)], bottom_units=2).export(tmp_path / "1")
    said = capsys.readouterr().out
    assert "serving_default, t0, t1, t2, t3, t4, t5 and 26 more" in said
    assert len(said) < len(str(tmp_path)) + 100
