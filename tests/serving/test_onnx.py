"""The ONNX export of every constructor, asked by onnxruntime."""

import sys

import keras
import numpy as np
import onnxruntime
import pytest

from keras_mtl import MultiTaskModel, Task, features, zoo

TASKS = [
    Task("view"),
    Task("buy", given="view", trained_on="all"),
    Task("stars", "multiclass", units=3),
    Task("price", "regression", units=2),
]


def rows(num_rows):
    generator = np.random.default_rng(num_rows)
    return {
        "user": generator.integers(0, 99, num_rows),
        "city": generator.choice(["Rome", "Oslo", "", "Nowhere"], num_rows),
        "age": np.where(generator.random(num_rows) < 0.3, np.nan, generator.random(num_rows)),
        "seen": generator.integers(0, 9, (num_rows, 3)),
    }


def make_table():
    columns = [
        features.Category("user", hash_buckets=11),
        features.Category("city"),
        features.Numeric("age"),
        features.Sequence("seen", max_length=2, missing=0),
    ]
    known = {name: column[:20] for name, column in rows(30).items()}
    known["city"][known["city"] == "Nowhere"] = "Bern"
    return features.TabularFeatures(columns, seed=0).adapt(known)


def ask(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def set_every_weight(model):
    for weight in model.weights:  # also those that start at zero
        weight.assign(keras.random.uniform(weight.shape, 0.1, 0.9, seed=len(weight.path)))


@pytest.mark.parametrize("inputs", [pytest.param("numbers", marks=pytest.mark.slow), "table"])
@pytest.mark.parametrize("name", sorted({*zoo.list_models()} - {"switch_transformer"}))
def test_onnxruntime_answers_what_predict_gives(name, inputs, tmp_path):
    table = make_table() if inputs == "table" else None
    model = zoo.create(name, table or 5, TASKS, normalization="layer", dropout=0.2, seed=0)
    set_every_weight(model)
    path = tmp_path / "model.onnx"
    model.export(path, format="onnx", verbose=False)
    for size in (1, 7):
        drawn = np.random.default_rng(size).normal(size=(size, 5)).astype("float32")
        x = table.encode(rows(size)) if table else {"features": drawn}
        expected, found = model.predict(x, verbose=0), ask(path, x)
        assert found.keys() == {*expected, "buy_joint"}
        for task, prediction in expected.items():
            assert found[task].dtype == np.float32
            np.testing.assert_allclose(found[task], prediction, 1e-5, 1e-5, err_msg=task)
        joint = expected["buy"] * expected["view"]
        np.testing.assert_allclose(found["buy_joint"], joint, atol=1e-5)
    (batch,) = {tensor.shape[0] for tensor in onnxruntime.InferenceSession(path).get_inputs()}
    assert batch == "batch"


@pytest.mark.slow
def test_onnxruntime_answers_for_sequences_of_any_length(tmp_path):
    tasks = [Task("tag", "multiclass", units=3), Task("view")]
    sizes = {"num_layers": 2, "model_units": 8, "hidden_units": 6, "num_experts": 3, "num_heads": 2}
    pooling = {"tag": None, "view": "mean"}
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    model = zoo.switch_transformer(
        tokens,
        tasks,
        vocabulary_size=9,
        max_length=7,
        pooling=pooling,
        dropout=0.2,
        seed=0,
        **sizes,
    )
    set_every_weight(model)
    path = tmp_path / "model.onnx"
    model.export(path, format="onnx", verbose=False)
    for size, length in ((1, 3), (5, 7)):
        x = np.random.default_rng(size).integers(0, 9, (size, length)).astype("int32")
        expected, found = model.predict(x, verbose=0), ask(path, {"tokens": x})
        assert found.keys() == expected.keys()
        for task, prediction in expected.items():
            np.testing.assert_allclose(found[task], prediction, 1e-5, 1e-5, err_msg=task)


@pytest.fixture(scope="module")
def hand_written():
    left = keras.Input((2,), name="left in")
    right = keras.Input((3, 2), name="class", dtype="int32")
    flat = keras.layers.Flatten()(keras.ops.cast(right, "float32"))
    hidden = keras.layers.Concatenate()([left, flat])
    outputs = {name: keras.layers.Dense(1, "sigmoid")(hidden) for name in ("b.x", "a-y")}
    return MultiTaskModel(inputs=[left, right], outputs=outputs, tasks=["b.x", "a-y"])


def test_inputs_and_outputs_bear_their_own_names(hand_written, tmp_path):
    hand_written.export(tmp_path / "1.onnx", format="onnx", verbose=False, opset_version=17)
    x = np.array([[0.5, -1.0]] * 4, "float32")
    y = np.arange(24, dtype="int32").reshape(4, 3, 2)
    found = ask(tmp_path / "1.onnx", {"left in": x, "class": y})
    expected = hand_written.predict([x, y], verbose=0)
    assert found.keys() == expected.keys()
    for task in expected:
        np.testing.assert_allclose(found[task], expected[task], atol=1e-5)


def test_an_existing_file_is_refused_and_kept(hand_written, tmp_path):
    (tmp_path / "1.onnx").write_text("mine")
    with pytest.raises(ValueError, match="`filepath` must name a file or folder that does not"):
        hand_written.export(tmp_path / "1.onnx", format="onnx")
    assert (tmp_path / "1.onnx").read_text() == "mine"


def test_a_failing_conversion_leaves_nothing(hand_written, tmp_path, monkeypatch):
    monkeypatch.setattr("tf2onnx.convert.from_function", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hand_written.export(tmp_path / "new" / "1.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_verbose_export_says_where(hand_written, tmp_path, capsys):
    hand_written.export(tmp_path / "1.onnx", format="onnx")
    assert capsys.readouterr().out == f"Exported to {tmp_path / '1.onnx'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["1.onnx"]


def test_strings_are_refused(tmp_path):
    text = keras.Input((1,), dtype="string", name="word")
    hashed = keras.layers.Hashing(5)(text)
    outputs = {"a": keras.layers.Dense(1)(keras.ops.cast(hashed, "float32"))}
    model = MultiTaskModel(inputs=text, outputs=outputs, tasks=[Task("a", "regression")])
    with pytest.raises(ValueError, match=r"no inputs of strings.* Received: word"):
        model.export(tmp_path / "1.onnx", format="onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = zoo.mmoe(5, ["a", "b"], num_experts=2, expert_units=4, tower_units=4)
    if policy == "mixed_bfloat16":
        with pytest.raises(ValueError, match="must not compute in bfloat16"):
            model.export(tmp_path / "1.onnx", format="onnx")
        assert list(tmp_path.iterdir()) == []
        return
    model.export(tmp_path / "1.onnx", format="onnx", verbose=False)
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    found, expected = ask(tmp_path / "1.onnx", {"features": x}), model.predict(x, verbose=0)
    for task in ("a", "b"):
        np.testing.assert_allclose(found[task], expected[task], atol=1e-3)


def test_without_tf2onnx_the_sentence_says_what_to_install(hand_written, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "keras-mtl\[onnx\]"'):
        hand_written.export(tmp_path / "1.onnx", format="onnx")
