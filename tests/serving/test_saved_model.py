"""What a server finds in an export, and what it answers."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.tools import saved_model_utils

from keras_mtl import MultiTaskModel, Task, zoo
from tests.serving.served import TASKS, raw_columns, serialized, serve

NAMES = [task.name for task in TASKS]


@pytest.fixture(scope="module")
def signatures(exported):
    graph = saved_model_utils.get_meta_graph_def(str(exported.path), "serve")
    return {
        name: signature
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }


@pytest.fixture(scope="module")
def requests(exported):
    """By batch size and signature: raw columns with unseen and missing values, and packed ones."""
    made = {}
    for size in (1, 7):
        raw = raw_columns(size, 1)
        for signature in ("serving_default", *NAMES):
            made[f"{signature}_{size}"] = (signature, raw)
        made[f"packed_{size}"] = ("packed", exported.table.encode(raw))
        made[f"examples_{size}"] = ("examples", {"examples": serialized(raw)})
    gaps = {name: column[:1].copy() for name, column in raw_columns(1, 1).items()}
    gaps |= {name: np.array([np.nan]) for name in ("Age", "age", "co$t/é")}
    gaps |= {"city of birth": np.array([""]), "class": np.array([""]), "seen": np.array([["", ""]])}
    absent = {"examples": np.array([tf.train.Example().SerializeToString()], object)}
    return made | {"gaps": ("serving_default", gaps), "absent": ("examples", absent)}


@pytest.fixture(scope="module")
def answers(exported, requests):
    return serve(exported.path, requests)


@pytest.fixture(scope="module")
def expected(exported):
    """What `predict` gives for the raw columns of each batch size."""
    encode, predict = exported.table.encode, exported.model.predict
    return {size: predict(encode(raw_columns(size, 1)), verbose=0) for size in (1, 7)}


def test_one_signature_for_all_one_a_task_a_packed_one_and_one_of_examples(signatures):
    assert set(signatures) == {"serving_default", "packed", "examples", *NAMES}


def test_raw_columns_go_by_their_own_names(signatures):
    found = {
        name: (info.dtype, [dim.size for dim in info.tensor_shape.dim])
        for name, info in signatures["serving_default"].inputs.items()
    }
    string, integer, number = (
        tf.string.as_datatype_enum,
        tf.int64.as_datatype_enum,
        tf.float64.as_datatype_enum,
    )
    assert found == {
        "city of birth": (string, [-1]),
        "class": (string, [-1]),
        "zip-code": (integer, [-1]),
        "Age": (number, [-1]),
        "age": (number, [-1]),
        "co$t/é": (number, [-1]),
        "seen": (string, [-1, -1]),
    }
    for name in NAMES:
        assert signatures[name].inputs.keys() == found.keys()


def test_the_packed_signature_takes_what_the_model_takes(signatures, exported):
    assert set(signatures["packed"].inputs) == set(exported.model.input)


def test_outputs_are_float32_with_a_batch_dimension(signatures):
    units = {"view": 1, "buy": 1, "buy_joint": 1, "stars": 3, "price": 2}
    for signature in signatures.values():
        for name, info in signature.outputs.items():
            assert info.dtype == tf.float32.as_datatype_enum
            assert [dim.size for dim in info.tensor_shape.dim] == [-1, units[name]]
    assert set(signatures["serving_default"].outputs) == units.keys()
    assert set(signatures["packed"].outputs) == units.keys()
    assert set(signatures["stars"].outputs) == {"stars"}
    assert set(signatures["buy"].outputs) == {"buy", "buy_joint"}


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("signature", ["serving_default", "packed", "examples", *NAMES])
def test_a_server_answers_what_predict_gives(signature, size, answers, expected):
    answer = answers[f"{signature}_{size}"]
    tasks = [signature] if signature in NAMES else NAMES
    assert set(tasks) == answer.keys() - {"buy_joint"}
    for task in tasks:
        assert answer[task].dtype == np.float32
        assert answer[task].shape == expected[size][task].shape
        np.testing.assert_allclose(answer[task], expected[size][task], atol=1e-6, err_msg=task)


@pytest.mark.parametrize("signature", ["serving_default", "packed", "examples", "buy"])
def test_a_product_over_all_rows_is_served_beside_the_conditional(signature, answers, expected):
    joint = expected[7]["view"] * expected[7]["buy"]
    np.testing.assert_allclose(answers[f"{signature}_7"]["buy_joint"], joint, atol=1e-6)


def test_missing_values_are_served_as_they_were_trained(answers, exported, requests):
    _, gaps = requests["gaps"]
    for unknown in (None, np.nan):
        raw = dict(gaps)
        raw |= {name: np.array([unknown], object) for name in ("city of birth", "class")}
        raw |= {"seen": [[]]}
        prediction = exported.model.predict(exported.table.encode(raw), verbose=0)
        for task in NAMES:
            np.testing.assert_allclose(answers["gaps"][task], prediction[task], atol=1e-6)


def test_absent_features_of_an_example_are_missing_values(answers, exported):
    raw = {name: np.array([None], object) for name in raw_columns(1, 0)}
    prediction = exported.model.predict(exported.table.encode(raw | {"seen": [[]]}), verbose=0)
    for task in NAMES:
        np.testing.assert_allclose(answers["absent"][task], prediction[task], atol=1e-6)


def test_variables_are_stored_once_and_only_those_that_predict(exported):
    stored = [
        int(np.prod(shape))
        for name, shape in tf.train.list_variables(str(exported.path / "variables" / "variables"))
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    ]
    needed = [int(np.prod(weight.shape)) for weight in exported.model.weights]
    assert exported.model.optimizer.variables, "the model has more to leave out"
    assert any("seed" in variable.path for variable in exported.model.variables)
    assert Counter(stored) == Counter(needed)
    values = 4 * sum(needed)
    (data,) = (exported.path / "variables").glob("*.data-*")
    graph = 20_000  # names of the objects
    assert values <= data.stat().st_size <= values + graph


def test_nothing_random_is_served(exported):
    graph = saved_model_utils.get_meta_graph_def(str(exported.path), "serve").graph_def
    operations = {node.op for function in graph.library.function for node in function.node_def}
    assert not {op for op in operations if "Random" in op}
    assert not any(function.attr["_XlaMustCompile"].b for function in graph.library.function), (
        "TF Serving does not compile"
    )


def test_a_server_may_read_the_folder(exported):
    assert exported.path.stat().st_mode & 0o055 == 0o055
    assert [entry.name for entry in exported.path.parent.iterdir()] == ["1"]


def test_the_lookup_layers_of_a_graph_of_ones_own_are_served(tmp_path):
    word, text = (keras.Input((), dtype="string", name=name) for name in ("word", "text"))
    ids = keras.layers.StringLookup(vocabulary=["Rome", "Oslo"])(word)
    tokens = keras.layers.TextVectorization(vocabulary=["go", "to"], output_sequence_length=2)(text)
    vectors = [keras.layers.Embedding(4, 2)(ids), keras.layers.Embedding(4, 2)(tokens)[:, 0]]
    click = keras.layers.Dense(1, "sigmoid")(keras.layers.Concatenate()(vectors))
    model = MultiTaskModel(inputs=[word, text], outputs={"click": click}, tasks=[Task("click")])
    model.export(tmp_path / "1", verbose=False)
    raw = {"word": np.array(["Oslo", "Bern"]), "text": np.array(["to Rome", "go"])}
    answers = serve(tmp_path / "1", {name: (name, raw) for name in ("serving_default", "click")})
    expected = model.predict([tf.constant(raw["word"]), tf.constant(raw["text"])], verbose=0)
    for outputs in answers.values():
        np.testing.assert_allclose(outputs["click"], expected["click"], atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_a_model_of_half_precision_serves_float32(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = zoo.mmoe(5, ["a", "b"], num_experts=2, expert_units=4, tower_units=4)
    model.export(tmp_path / "1", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    expected = model.predict(x, verbose=0)
    for name in ("serving_default", "packed"):
        outputs = loaded.signatures[name](features=tf.constant(x))
        for task in ("a", "b"):
            assert outputs[task].dtype == tf.float32
            np.testing.assert_allclose(outputs[task], expected[task], atol=1e-2)
