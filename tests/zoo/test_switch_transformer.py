"""`zoo.switch_transformer`: tasks on tokens and sequences, padding, inputs, options, learning."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest

from keras_mtl import Task, features, zoo
from keras_mtl.layers import SwitchFFN
from tests.reference.switch_transformer import encoder_layer, layer_norm
from tests.zoo.small import predictions, values

VOCABULARY = 11
TAG, SPAM = Task("tag", "multiclass", units=3), Task("spam")
POOLING = {"tag": None, "spam": "mean"}
SIZES = {
    "num_layers": 2,
    "num_heads": 2,
    "model_units": 8,
    "hidden_units": 12,
    "num_experts": 3,
    "max_length": 8,
    "seed": 1,
}


def build(inputs=None, tasks=(TAG, SPAM), **arguments):
    """Ids of any length unless told otherwise."""
    if inputs is None:
        inputs = keras.Input((None,), dtype="int32", name="tokens")
        arguments = {"vocabulary_size": VOCABULARY, **arguments}
    if len(tasks) == 2:
        arguments = {"pooling": POOLING, **arguments}
    return zoo.switch_transformer(inputs, list(tasks), **{**SIZES, **arguments})


def sentences(lengths=(6, 3, 1, 5), width=6, seed=0):
    """Ids with padding on the right, and labels of both tasks."""
    ids = np.random.default_rng(seed).integers(1, VOCABULARY, (len(lengths), width))
    ids = np.where(np.arange(width) < np.array(lengths)[:, None], ids, 0).astype("int32")
    tags = np.where(ids > 0, ids % 3, -1).astype("int32")
    return ids, {"tag": tags, "spam": (ids[:, 0] > 5).astype("int32")}


def shake(model, scale=0.5):
    """Random values for every weight: biases, too, and routers that prefer some experts."""
    generator = np.random.default_rng(3)
    for weight in model.trainable_variables:
        weight.assign(scale * generator.normal(size=tuple(weight.shape)))
    return model


def up_to(model, *names):
    return keras.Model(model.input, [model.get_layer(name).output for name in names])


def assert_same(found, expected, real):
    """Equal on tokens that are there; what stands at padding means nothing."""
    for task, outputs in expected.items():
        shown = real if outputs.ndim == 3 else slice(None)
        np.testing.assert_allclose(found[task][shown], outputs[shown], atol=1e-6, err_msg=task)


def train(model, x, y, **fit):
    model.compile(keras.optimizers.SGD(0.1), metrics=[], run_eagerly=True)
    return model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0, **fit).history


# --- what it computes ---


@pytest.mark.parametrize(
    ("top_k", "factor"), [(1, None), (1, 0.5), (2, 0.4)], ids=["dropless", "drops", "top_2"]
)
def test_a_layer_is_that_of_the_paper(top_k, factor):
    capacities = {"top_k": top_k, "eval_capacity_factor": factor}
    model = shake(build(num_layers=1, sparse_every=1, **capacities))
    ids, _ = sentences()
    weights = {path: value.astype("float64") for path, value in values(model).items()}

    def of(layer):
        own = (path for path in weights if path.startswith(f"{layer}/"))
        return {path.removeprefix(f"{layer}/"): weights[path] for path in own}

    def norm(layer):
        return weights[f"{layer}/gamma"], weights[f"{layer}/beta"]

    x = weights["embeddings/embeddings"][ids] + weights["positions/embeddings"][: ids.shape[1]]
    norms = [norm("attention_1_norm"), norm("switch_1_norm")]
    options = {"k": top_k, "capacity_factor": factor}
    x = encoder_layer(x, ids > 0, norms, of("attention_1"), of("switch_1"), **options)
    inside, normed = up_to(model, "switch_1_added", "norm")(ids)
    np.testing.assert_allclose(np.asarray(inside)[ids > 0], x[ids > 0], atol=1e-4)
    expected = layer_norm(x, *norm("norm"))
    np.testing.assert_allclose(np.asarray(normed)[ids > 0], expected[ids > 0], atol=1e-4)
    mean = np.stack([row[real].mean(0) for row, real in zip(expected, ids > 0, strict=True)])
    np.testing.assert_allclose(model.get_layer("mean")(normed, ids > 0), mean, atol=1e-4)


def test_one_expert_is_the_dense_layer():
    """Its probability is 1, and every token finds room."""
    sparse = shake(build(num_experts=1, sparse_every=1, top_k=1))
    dense = build(sparse_every=0)
    weights = values(sparse)
    for number in (1, 2):
        switch, ffn = f"switch_{number}", f"dense_{number}"
        weights[f"{ffn}_hidden/kernel"] = weights[f"{switch}/experts/kernel_0"][0]
        weights[f"{ffn}/kernel"] = weights[f"{switch}/experts/kernel_1"][0]
        for name in ("gamma", "beta"):
            weights[f"{ffn}_norm/{name}"] = weights[f"{switch}_norm/{name}"]
    for weight in dense.weights:  # the biases of the dense one start at zero
        weight.assign(weights.get(weight.path, weight.value))
    ids, labels = sentences()
    for training in (False, True):
        expected, found = (predictions(m, ids, training=training) for m in (dense, sparse))
        assert_same(found, expected, ids > 0)
    losses = [train(model, ids, labels) for model in (dense, sparse)]
    for task in ("tag", "spam"):
        np.testing.assert_allclose(losses[0][f"{task}_loss"], losses[1][f"{task}_loss"], rtol=1e-4)


def test_sparse_every_counts_layers():
    def sparse_layers(sparse_every):
        model = build(num_layers=4, sparse_every=sparse_every)
        return [layer.name for layer in model.layers if isinstance(layer, SwitchFFN)]

    assert sparse_layers(2) == ["switch_2", "switch_4"]
    assert sparse_layers(1) == [f"switch_{number}" for number in (1, 2, 3, 4)]
    assert sparse_layers(3) == ["switch_3"]
    assert sparse_layers(0) == sparse_layers(5) == []


def test_only_sparse_layers_are_logged():
    ids, labels = sentences()
    logs = train(build(), ids, labels)
    assert {name.split("/")[1] for name in logs if "/" in name} == {"switch_2"}
    assert sum(logs[f"moe/switch_2/load_{e}"][0] for e in range(3)) == pytest.approx(1)
    assert sorted(train(build(sparse_every=0), ids, labels)) == ["loss", "spam_loss", "tag_loss"]


def test_balance_and_z_loss_reach_training_with_their_weights():
    ids, labels = sentences()
    history = train(build(balance_loss=0.5, router_z_loss=0.2), ids, labels)
    logs = {name: value[0] for name, value in history.items()}
    added = 0.5 * logs["moe/switch_2/balance_loss"] + 0.2 * logs["moe/switch_2/router_z_loss"]
    assert logs["moe/switch_2/router_z_loss"] > 0.1
    assert logs["loss"] - logs["tag_loss"] - logs["spam_loss"] == pytest.approx(added, rel=1e-4)


# --- padding ---


def test_padding_and_other_rows_change_nothing():
    model = shake(build(sparse_every=1))
    ids, _ = sentences()
    expected = predictions(model, ids)
    longer = predictions(model, np.pad(ids, [(0, 0), (0, 2)]))
    assert_same({**longer, "tag": longer["tag"][:, :6]}, expected, ids > 0)
    for row, real in enumerate(ids > 0):
        alone = predictions(model, ids[row : row + 1, real])
        np.testing.assert_allclose(alone["tag"][0], expected["tag"][row, real], atol=1e-6)
        np.testing.assert_allclose(alone["spam"][0], expected["spam"][row], atol=1e-6)


def test_padding_takes_no_room_and_counts_in_no_log():
    """As many tokens as slots: with padding among them some would be dropped."""
    ids, labels = sentences(lengths=(6, 6), width=6)
    logs = []
    for extra in (0, 2):
        x = np.pad(ids, [(0, 0), (0, extra)])
        y = {**labels, "tag": np.pad(labels["tag"], [(0, 0), (0, extra)], constant_values=-1)}
        logs.append(train(build(num_experts=1, capacity_factor=1.0, jitter=0.0), x, y))
    for name in logs[0]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-4, err_msg=name)
    assert logs[1]["moe/switch_2/dropped"] == [0.0]


@pytest.mark.parametrize("lengths", [(0, 4, 0, 2), (0, 0, 0, 0)], ids=["some", "all"])
@pytest.mark.parametrize("factor", [1.0, None])
def test_rows_of_padding_alone_keep_everything_finite(lengths, factor):
    factors = {"capacity_factor": factor, "eval_capacity_factor": factor}
    model = build(num_layers=1, sparse_every=1, router_z_loss=0.1, **factors)
    ids, labels = sentences(lengths)
    for outputs in (predictions(model, ids), predictions(model, ids, training=True)):
        assert all(np.isfinite(output).all() for output in outputs.values())
    unlabelled = not any(lengths)
    warned = pytest.warns(UserWarning, match="No labels of task") if unlabelled else nullcontext()
    with warned:
        history = train(model, ids, labels, epochs=2)
    figures = {name: np.isfinite(figure).all() for name, figure in history.items()}
    of_words = {name for name in figures if name.startswith(("tag_", "moe/"))}
    assert {name for name, finite in figures.items() if not finite} == (
        of_words if unlabelled else set()
    )
    assert all(np.isfinite(value).all() for value in values(model).values())
    outputs = predictions(model, ids)["spam"]
    empty = outputs[np.array(lengths) == 0]
    np.testing.assert_allclose(empty, np.broadcast_to(empty[0], empty.shape), atol=1e-6)


# --- inputs ---


def test_a_width_reads_vectors():
    model = build(5)
    assert (model.input.name, tuple(model.input.shape)) == ("features", (None, None, 5))
    x = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")
    outputs = predictions(model, x)
    assert outputs["tag"].shape == (4, 6, 3)
    assert outputs["spam"].shape == (4, 1)
    # Attention sees all tokens: changing the last one changes the first one's tag.
    x[:, -1] += 1
    assert not np.allclose(predictions(model, x)["tag"][:, 0], outputs["tag"][:, 0], atol=1e-6)


def test_vectors_of_the_models_width_are_not_projected():
    names = {width: [layer.name for layer in build(width).layers] for width in (5, 8)}
    assert "projection" in names[5]
    assert "projection" not in names[8]


def masked(width, name):
    tensor = keras.Input((None, width), name=name)
    return tensor, keras.layers.Masking()(tensor)


@pytest.mark.parametrize("second_masked", [True, False])
def test_a_dict_of_vectors_keeps_the_mask(second_masked):
    _, late_masked = masked(2, "late")
    early, early_masked = masked(3, "early")
    given = {"k": late_masked, "j": early_masked if second_masked else early}
    model = shake(build(given, sparse_every=1))
    generator = np.random.default_rng(0)
    x = {"late": generator.normal(size=(2, 4, 2)), "early": generator.normal(size=(2, 4, 3))}
    expected = predictions(model, x)
    assert set(model.input) == {"late", "early"}
    longer = {name: np.pad(value, [(0, 0), (0, 3), (0, 0)]) for name, value in x.items()}
    found = predictions(model, longer)
    np.testing.assert_allclose(found["tag"][:, :4], expected["tag"], atol=1e-6)
    np.testing.assert_allclose(found["spam"], expected["spam"], atol=1e-6)


# --- tables ---


WORDS = [["the", "dog", "runs"], ["a", "cat"], [], ["dogs", "ran", "the", "cat"]]
KINDS = [["D", "N", "V"], ["D", "N"], [], ["N", "V", "D", "N"]]


def columns(width=None):
    """Lists; of one width as a server gets them, padded with empty strings."""
    lists = {"words": WORDS, "kinds": KINDS}
    if width is not None:
        lists = {k: [row + [""] * (width - len(row)) for row in v] for k, v in lists.items()}
    return {name: np.array([*value, None], object)[:-1] for name, value in lists.items()}


@pytest.fixture(scope="module")
def reader():
    """A trained model on words with n-grams and their kinds, side by side."""
    ngrams = {"ngrams": (2, 3), "ngram_buckets": 32, "max_ngrams": 6}
    whole = {"max_length": 5, "pooling": None}
    table = features.TabularFeatures(
        [features.Sequence("words", **whole, **ngrams), features.Sequence("kinds", **whole)],
        embedding_dim=4,
    ).adapt(columns())
    model = build(table, num_layers=1, sparse_every=1, dropout=0.1)
    model.compile(keras.optimizers.Adam(0.05), metrics=[], run_eagerly=True)
    tags = np.full((4, 5), -1)
    for row, kinds in enumerate(KINDS):
        tags[row, : len(kinds)] = ["DNV".index(kind) for kind in kinds]
    labels = {"tag": tags, "spam": np.array([0, 1, -1, 0])}
    history = model.fit(table.encode(columns()), labels, epochs=12, verbose=0).history
    return model, history


def test_a_table_of_sequences_with_ngrams_learns(reader):
    model, history = reader
    assert set(model.input) == {"words", "kinds"}
    assert history["tag_loss"][-1] < 0.8 * history["tag_loss"][0]
    packed = model.features.encode(columns())
    outputs = predictions(model, packed)
    assert outputs["tag"].shape == (4, 5, 3)
    padded = predictions(model, model.features.encode(columns(width=5)))
    assert_same(padded, outputs, packed["kinds"] > 0)


def test_unknown_words_are_told_apart_by_their_ngrams(reader):
    model, _ = reader
    raw = columns()
    raw["words"][0] = ["the", "dogged", "runs"]
    raw["words"][1] = ["a", "zzz"]
    before, after = (predictions(model, model.features.encode(c)) for c in (columns(), raw))
    assert not np.allclose(before["tag"][0, 1], after["tag"][0, 1], atol=1e-6)
    assert_same(
        {name: output[2:] for name, output in after.items()},
        {name: output[2:] for name, output in before.items()},
        model.features.encode(raw)["kinds"][2:] > 0,
    )


@pytest.mark.slow
def test_the_export_serves_raw_strings(reader, tmp_path):
    import tensorflow as tf

    model, _ = reader
    expected = model.predict(model.features.encode(columns()), verbose=0)
    model.export(tmp_path / "served", verbose=False)
    serve = tf.saved_model.load(tmp_path / "served").signatures["serving_default"]
    served = serve(**{name: tf.constant(c.tolist()) for name, c in columns(width=5).items()})
    for task, output in expected.items():
        np.testing.assert_allclose(served[task], output, atol=1e-5, err_msg=task)


def test_a_table_of_anything_else_is_refused():
    table = features.TabularFeatures(
        [
            features.Sequence("words", pooling=None),
            features.Sequence("kinds"),
            features.Category("city"),
        ]
    )
    raw = {**columns(), "city": np.array(["a", "b", "a", "b"])}
    sentence = r"table of sequences with pooling=None alone. Received: other .*\['kinds', 'city'\]"
    with pytest.raises(ValueError, match=sentence):
        build(table.adapt(raw))


def test_a_tables_longest_sequence_must_fit_the_positions():
    table = features.TabularFeatures([features.Sequence("words", pooling=None, max_length=9)])
    with pytest.raises(ValueError, match="Received: 9 entries, max_length=8"):
        build(table.adapt({"words": columns()["words"]}))


# --- options ---


def test_dropout_drops_everywhere_and_only_in_training():
    model, plain = build(dropout=0.5), build()
    ids, _ = sentences(lengths=(6, 3))
    first, second = (predictions(model, ids, training=True) for _ in range(2))
    assert not np.allclose(first["tag"], second["tag"])
    assert_same(predictions(model, ids), predictions(plain, ids), ids > 0)
    rates = {
        layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)
    }
    assert set(rates.values()) == {0.5}
    parts = ("attention_1", "dense_1_hidden", "dense_1", "attention_2", "switch_2")
    assert set(rates) == {f"{part}_dropout" for part in parts}
    assert model.get_layer("attention_2").dropout == 0.5
    assert model.get_layer("switch_2").expert_dropout == 0.5


def test_experts_may_be_dropped_at_a_rate_of_their_own():
    """Fine-tuning as in the paper; zero is a rate too."""
    for rate in (0.4, 0.0):
        model = build(dropout=0.1, expert_dropout=rate)
        assert model.get_layer("switch_2").expert_dropout == rate
        assert model.get_layer("switch_2_dropout").rate == 0.1


def test_options_reach_the_sparse_layers():
    options = {
        "top_k": 2,
        "capacity_factor": 1.5,
        "eval_capacity_factor": 3.0,
        "jitter": 0.2,
        "balance_loss": 0.3,
        "router_z_loss": 0.4,
        "expert_dropout": 0.2,
        "hidden_units": 7,
        "num_experts": 4,
    }
    layer = build(activation="gelu", **options).get_layer("switch_2")
    assert {name: getattr(layer, name) for name in options} == options
    assert layer.activation is keras.activations.gelu


def test_jitter_and_capacity_act_only_in_training():
    ids, _ = sentences()
    model = shake(build(jitter=0.9, capacity_factor=0.1))
    first, second = (predictions(model, ids, training=True)["tag"] for _ in range(2))
    assert not np.allclose(first, second)
    calm = shake(build(jitter=0.0, capacity_factor=None))
    assert_same(predictions(model, ids), predictions(calm, ids), ids > 0)


def test_the_regularizer_of_every_kernel_but_the_routers_reaches_the_loss():
    model = shake(build(5, kernel_regularizer=keras.regularizers.L2(0.01), tower_units=4))
    kernels = {
        path: value
        for path, value in values(model).items()
        if "kernel" in path and "router" not in path
    }
    # projection, 2 x 4 of attention, 2 dense, 2 of experts, and towers and logits of each task
    assert len(kernels) == 1 + 8 + 2 + 2 + 4
    penalty = 0.01 * sum(np.square(kernel).sum() for kernel in kernels.values())
    model.compile("sgd", metrics=[], run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(4, 6, 5))
    labels = {"tag": np.zeros((4, 6), int), "spam": np.ones(4, int)}
    logs = model.evaluate(x, labels, verbose=0, return_dict=True)
    assert logs["loss"] - logs["tag_loss"] - logs["spam_loss"] == pytest.approx(penalty, rel=1e-4)


def test_the_seed_decides_weights_jitter_and_dropout():
    ids, _ = sentences()
    made = [build(seed=seed, dropout=0.3) for seed in (1, 1, 2)]
    first, again, other = (values(model) for model in made)
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path], err_msg=path)
        drawn = "kernel" in path or path.endswith("/embeddings")
        assert drawn != np.array_equal(value, other[path]), path
    outputs = [predictions(model, ids, training=True)["tag"] for model in made]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.allclose(outputs[0], outputs[2])


def test_no_two_layers_start_alike():
    weights = values(build(num_layers=4, sparse_every=1))
    for part in ("query/kernel", "experts/kernel_0", "router/kernel"):
        kernels = [value for path, value in weights.items() if path.endswith(part)]
        assert len(kernels) == 4
        for index, kernel in enumerate(kernels):
            assert not any(np.allclose(kernel, after) for after in kernels[index + 1 :])


def test_towers_by_task_and_a_head_of_ones_own():
    head = keras.layers.Dense(3, "softmax", name="own")
    towers = {"tag": 4, "spam": (5, 2)}
    model = build(tower_units=towers, heads={"tag": head})
    ids, labels = sentences()
    normed = keras.Model(model.input, model.get_layer("norm").output)(ids)
    np.testing.assert_allclose(predictions(model, ids)["tag"], head(normed), atol=1e-6)
    assert model.get_layer("towers").num_experts == 1
    history = train(model, ids, labels, epochs=3)
    assert history["tag_loss"][-1] < history["tag_loss"][0]


def test_one_pooling_for_all_tasks():
    ids, _ = sentences()
    shapes = {
        pooling: predictions(build(pooling=pooling, tower_units=4), ids)["tag"].shape
        for pooling in ("mean", None)
    }
    assert shapes == {"mean": (4, 3), None: (4, 6, 3)}


def test_one_task():
    ids, labels = sentences()
    model = build(tasks=[TAG])
    assert predictions(model, ids)["tag"].shape == (4, 6, 3)
    history = train(model, ids, labels["tag"], epochs=3)
    assert history["tag_loss"][-1] < history["tag_loss"][0]


def test_the_order_of_tasks_changes_nothing():
    ids, _ = sentences()
    outputs = [predictions(build(tasks=tasks), ids) for tasks in ((TAG, SPAM), (SPAM, TAG))]
    for task in ("tag", "spam"):
        np.testing.assert_array_equal(outputs[0][task], outputs[1][task])


# --- what it refuses ---


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"vocabulary_size": 0}, "vocabulary_size"),
        ({"max_length": 0}, "max_length"),
        ({"num_layers": 0}, "num_layers"),
        ({"num_heads": 0}, "num_heads"),
        ({"num_heads": 3}, "model_units"),
        ({"model_units": 0}, "model_units"),
        ({"hidden_units": 0}, "hidden_units"),
        ({"num_experts": 0}, "num_experts"),
        ({"sparse_every": -1}, "sparse_every"),
        ({"sparse_every": True}, "sparse_every"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 4}, "top_k"),
        ({"capacity_factor": 0.0}, "capacity_factor"),
        ({"eval_capacity_factor": -1}, "eval_capacity_factor"),
        ({"jitter": 1.0}, "jitter"),
        ({"balance_loss": float("inf")}, "balance_loss"),
        ({"router_z_loss": None}, "router_z_loss"),
        ({"expert_dropout": 1.0}, "expert_dropout"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.5}, "dropout"),
        ({"dropout": 1.0, "expert_dropout": 0.1}, "dropout"),
        ({"pooling": "max"}, "pooling"),
        ({"pooling": {"tag": None, "spam": "sum"}}, "pooling"),
        ({"pooling": {"tag": None}}, "pooling"),
        ({"tower_units": 0}, "tower_units"),
        ({"activation": "rleu"}, "activation"),
        ({"kernel_regularizer": "l3"}, "kernel_regularizer"),
        ({"seed": "one"}, "seed"),
        ({"inputs": 0, "vocabulary_size": None}, "inputs"),
    ],
)
def test_refusals_name_the_argument_that_the_user_gave(arguments, named):
    with pytest.raises(ValueError, match=rf"`{named}` must .*Received: .*{named}="):
        build(**arguments)


def test_ids_need_a_vocabulary_and_vectors_have_none():
    sentence = r"vectors \(B, S, D\), or token ids \(B, S\) with `vocabulary_size`. Received: "
    with pytest.raises(ValueError, match=sentence + r"shape=\(None, 6\), vocabulary_size=None"):
        build(keras.Input((6,), dtype="int32"))
    with pytest.raises(ValueError, match=sentence + r"shape=\(None, 6, 4\), vocabulary_size=9"):
        build(keras.Input((6, 4)), vocabulary_size=9)
    with pytest.raises(ValueError, match=sentence + r"shape=\(None,\), vocabulary_size=9"):
        build(keras.Input((), dtype="int32"), vocabulary_size=9)
    with pytest.raises(ValueError, match=r"`vocabulary_size`.* Received: "):
        build(4, vocabulary_size=9)


@pytest.mark.parametrize("greatest", [VOCABULARY, -1])
def test_ids_outside_the_vocabulary_are_refused(greatest):
    model = build()
    ids, labels = sentences()
    ids[2, 0] = greatest
    low, high = min(0, greatest), max(VOCABULARY - 1, greatest)
    sentence = rf"'tokens' must hold ids in \[0, 11\). Received: ids from {low} to {high}"
    with pytest.raises(ValueError, match=sentence):
        model.predict(ids, verbose=0)
    model.compile("sgd")
    with pytest.raises(ValueError, match=sentence):
        model.fit(ids, labels, verbose=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's assertions")
@pytest.mark.parametrize("greatest", [pytest.param(VOCABULARY, marks=pytest.mark.slow), -1])
def test_datasets_and_servers_refuse_ids_outside_the_vocabulary(greatest, tmp_path):
    import tensorflow as tf

    model = build()
    model.compile("sgd")
    ids, labels = sentences()
    model.export(tmp_path / "1", verbose=False)
    serve = tf.saved_model.load(tmp_path / "1").signatures["serving_default"]
    np.testing.assert_allclose(serve(tokens=tf.constant(ids))["tag"], model(ids)["tag"], atol=1e-6)
    ids[2, 0] = greatest
    rows = tf.data.Dataset.from_tensor_slices((ids, labels)).batch(4)
    sentence = r"must hold ids in \[0, 11\)"
    for call in (
        model.fit,
        model.evaluate,
        lambda x, verbose: model.predict(x.map(lambda x, y: x)),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
            call(rows, verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        serve(tokens=tf.constant(ids))


def test_sequences_longer_than_the_table_of_positions_are_refused():
    sentence = "at most `max_length` entries. Received: 9 entries, max_length=8"
    with pytest.raises(ValueError, match=sentence):
        build(keras.Input((9,), dtype="int32"), vocabulary_size=VOCABULARY)
    with pytest.raises(ValueError, match=sentence):
        build().predict(np.ones((2, 9), int), verbose=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's assertions")
def test_datasets_and_servers_refuse_sequences_longer_than_the_table(tmp_path):
    """Rows of a dataset may have unknown lengths until they are there."""
    import tensorflow as tf

    model = build(keras.Input((None,), dtype="int32", name="tokens"), vocabulary_size=VOCABULARY)
    model.compile("sgd")
    model.export(tmp_path / "1", verbose=False)
    serve = tf.saved_model.load(tmp_path / "1").signatures["serving_default"]
    long = np.ones((4, 9), "int32")

    def rows(length):
        tokens = tf.TensorSpec((None, None), tf.int32)
        return tf.data.Dataset.from_generator(
            lambda: iter([long[:, :length]]), output_signature=tokens
        )

    assert model.predict(rows(8), verbose=0)["tag"].shape[1] == 8
    sentence = r"must have at most `max_length` entries. Received:. .9. .entries, max_length=8"
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        model.predict(rows(9), verbose=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        serve(tokens=tf.constant(long))


# --- files ---


@pytest.mark.slow
def test_a_saved_model_loads_where_names_are_numbered_anew(tmp_path):
    """As in a new process: Keras makes operations of masks anew, by names that the file has too."""
    model = build()
    model.compile("sgd")
    ids, labels = sentences()
    model.fit(ids, labels, verbose=0)
    expected = model.evaluate(ids, labels, verbose=0, return_dict=True)
    for number in range(2):  # what was loaded is saved again
        model.save(tmp_path / f"{number}.keras")
        keras.utils.clear_session()
        model = keras.saving.load_model(tmp_path / f"{number}.keras")
        found = model.evaluate(ids, labels, verbose=0, return_dict=True)
        assert found == pytest.approx(expected, rel=1e-6)
    before = model.get_weights()
    model.fit(ids, labels, verbose=0)
    assert all(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


# --- training ---


def test_half_precision_trains():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(num_layers=1, sparse_every=1, dropout=0.1, router_z_loss=0.01)
    ids, labels = sentences(lengths=(6, 0, 4, 2))
    history = train(model, ids, labels, epochs=6)
    assert history["loss"][-1] < history["loss"][0]
    outputs = predictions(model, ids)
    assert all(output.dtype == "float32" for output in outputs.values())
    assert all(np.isfinite(output).all() for output in outputs.values())
    assert model.get_layer("switch_1").experts.compute_dtype == "bfloat16"
    assert model.get_layer("switch_1").router.compute_dtype == "float32"


@pytest.mark.slow
def test_a_tag_that_depends_on_the_context_is_learned():
    """The first word says how the others are to be read; sentences differ in length."""
    generator = np.random.default_rng(0)
    dialects, words, tags, width = 3, 12, 3, 7
    reading = generator.integers(0, tags, (dialects, words))
    rows = 600
    dialect, word = (generator.integers(0, n, s) for n, s in ((3, rows), (12, (rows, width - 1))))
    ids = np.concatenate([1 + dialect[:, None], 1 + dialects + word], axis=1)
    real = np.arange(width) < generator.integers(3, width + 1, rows)[:, None]
    ids = np.where(real, ids, 0)
    tag = np.full(ids.shape, -1)
    tag[:, 1:] = np.where(real[:, 1:], reading[dialect[:, None], word], -1)
    labels = {"tag": tag, "spam": (dialect == 0).astype(int)}
    model = build(
        vocabulary_size=1 + dialects + words, model_units=16, hidden_units=32, num_experts=4
    )
    model.compile(keras.optimizers.Adam(0.01))
    train_rows, test_rows = slice(0, 500), slice(500, None)
    history = model.fit(
        ids[train_rows],
        {name: label[train_rows] for name, label in labels.items()},
        batch_size=50,
        epochs=12,
        verbose=0,
    ).history
    assert history["tag_loss"][-1] < 0.5 * history["tag_loss"][0]
    found = model.predict(ids[test_rows], verbose=0)
    known = tag[test_rows] >= 0
    majority = np.bincount(tag[test_rows][known]).max() / known.sum()
    accuracy = np.mean(found["tag"].argmax(-1)[known] == tag[test_rows][known])
    assert accuracy > majority + 0.25
    assert np.mean((found["spam"][:, 0] > 0.5) == labels["spam"][test_rows]) > 0.9
