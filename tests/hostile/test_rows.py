"""Rows as they should not be, through every way into a model: the right loss, or a sentence."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl import MultiTaskModel, Task, zoo
from tests.hostile.outcomes import refusal
from tests.reference.losses import over_labelled, product_crossentropy, task_loss
from tests.training.free_logits import ACTIVATIONS, own_heads

quick = settings(max_examples=25, deadline=None, derandomize=True, database=None)
many = settings(max_examples=400, deadline=None, database=None)
WAYS = ("fit", "evaluate", "train_on_batch", "test_on_batch")
TASKS = [
    Task("click"),
    Task("topic", "multiclass", 3),
    Task("tags", "multilabel", 2),
    Task("price", "regression", weight_column="w"),
]
ROWS = 4
X = np.random.default_rng(0).normal(size=(ROWS, 3)).astype("float32")
Y = {
    "click": np.array([0, 1, 1, -1]),
    "topic": np.array([0, 1, 2, -1]),
    "tags": np.array([[0, 1], [1, 1], [0, 0], [-1, -1]]),
    "price": np.array([0.0, 1.0, np.nan, np.nan]),
    "w": np.ones(ROWS),
}


@pytest.fixture(scope="module")
def made():
    """A model that forgets what it learned before each use."""
    model = zoo.shared_bottom(3, TASKS, bottom_units=4, tower_units=(), seed=1)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model, model.get_weights()


@pytest.fixture(scope="module")
def plain(made):
    """What every way into the model gives for the rows as they should be."""
    return {way: run(made, way) for way in WAYS}


def run(made, way, x=X, y=Y, sample_weight=None):
    """Losses of one step, and the weights after it."""
    model, start = made
    model.set_weights(start)
    options = {"verbose": 0} if way in ("fit", "evaluate") else {}
    options |= {} if way == "fit" else {"return_dict": True}
    logs = getattr(model, way)(x, y, sample_weight=sample_weight, **options)
    logs = {k: v[-1] for k, v in logs.history.items()} if way == "fit" else logs
    return {k: v for k, v in logs.items() if k.endswith("loss")}, model.get_weights()


# --- random tasks against their definition ---

DTYPES = {
    "binary": ("int8", "int16", "int32", "int64", "float16", "float32", "float64"),
    "regression": ("int8", "int32", "float16", "float32", "float64"),
}
NUMBERS = st.floats(-8, 8, width=16)


@st.composite
def problems(draw):
    """Up to three tasks of any kind, their labels, weights and logits."""
    rows = draw(st.integers(1, 4))
    names = draw(st.lists(st.from_regex(r"[a-z0-9.][A-Za-z_.-]{1,3}", fullmatch=True), min_size=1,
                          max_size=3, unique=True).filter(lambda n: "loss" not in n))  # fmt: skip
    names = [f"t{name}" for name in names]
    tasks, logits, labels = [], {}, {}
    for name in names:
        kind = draw(st.sampled_from(("binary", "multiclass", "multilabel", "regression")))
        units = 1 if kind == "binary" else draw(st.integers(2, 3))
        parents = [task.name for task in tasks if task.kind == "binary"]
        given = draw(st.sampled_from([None, *parents]))
        whole = given is not None and kind == "binary" and draw(st.booleans())
        class_weight = None
        if kind in ("binary", "multiclass") and draw(st.booleans()):
            class_weight = {0: draw(st.sampled_from([0.0, 0.5, 3.0]))}
        missing = draw(st.sampled_from(["auto", -7, None]))
        tasks.append(
            Task(name, kind, units, missing, given, "all" if whole else "given",
                 class_weight=class_weight, weight=draw(st.sampled_from([0.0, 1.0, -2.5])))
        )  # fmt: skip
        classes = units if kind == "multiclass" else 2
        width = 1 if kind == "multiclass" else units
        values = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=rows * width,
                                        max_size=rows * width))).reshape(rows, width)  # fmt: skip
        dtype = draw(st.sampled_from(DTYPES["regression" if kind == "regression" else "binary"]))
        values = values.astype(dtype)
        # An integer that is no class has no mark of its own.
        marker = np.nan if dtype.startswith("float") else None if kind == "regression" else -1
        marker = {"auto": marker, -7: -7}.get(missing)
        if marker is not None:
            holes = draw(st.lists(st.booleans(), min_size=rows * width, max_size=rows * width))
            values[np.array(holes).reshape(rows, width)] = marker
        labels[name] = values[:, 0] if width == 1 and draw(st.booleans()) else values
        flat = draw(st.lists(NUMBERS, min_size=rows * units, max_size=rows * units))
        logits[name] = np.array(flat, "float32").reshape(rows, units)
    weights = draw(st.none() | st.lists(st.sampled_from([0.0, 1.0, 2.5, -1.0]), min_size=rows,
                                        max_size=rows).map(np.array))  # fmt: skip
    return tasks, logits, labels, weights


def is_known(task, labels):
    labels = labels.reshape(len(labels), -1)
    if task.missing is None:
        return np.ones(labels.shape, bool)
    if task.missing != "auto":
        return labels != task.missing
    by_nan = labels.dtype.kind == "f" or task.kind == "regression"
    return ~np.isnan(labels) if by_nan else labels != -1


def chain_of(task, by_name):
    """Names of the tasks that it depends on, nearest first."""
    return [] if task.given is None else [task.given, *chain_of(by_name[task.given], by_name)]


def joint(names, by_name, labels):
    """Label and mask (B, 1) of "all of `names` are 1", root first."""
    alive, decided = np.array(True), np.array(False)
    for name in names:
        seen = is_known(by_name[name], labels[name])
        positive = labels[name].reshape(-1, 1) == 1
        decided, alive = decided | (alive & seen & ~positive), alive & seen & positive
    return alive.astype(float), decided | alive


def expected_loss(task, by_name, logits, labels, weights):
    """By the definition, with the twins of tests/reference."""
    value = labels[task.name].reshape(len(labels[task.name]), -1).astype("float64")
    known = is_known(task, labels[task.name])
    chain = chain_of(task, by_name)
    if task.trained_on == "all":
        names = [*reversed(chain), task.name]
        value, known = joint(names, by_name, labels)
    elif chain:
        exists, _ = joint(chain, by_name, labels)
        known = known & (exists == 1)
    factors = np.ones(len(value)) if weights is None else weights
    factors = np.broadcast_to(factors[:, None], value.shape).copy()
    for label, factor in (task.class_weight or {}).items():
        factors[value == label] *= factor
    if not known.any():
        return np.nan
    if task.trained_on == "all":
        losses, _ = product_crossentropy(value, *(logits[name] for name in names))
        return over_labelled(losses, known, factors)
    return task_loss(task.kind, value, logits[task.name], known, factors)[0]


def check_problem(problem):
    tasks, logits, labels, weights = problem
    free = own_heads(tasks, logits)
    logs, gradients = free.step(labels, {"sample_weight": weights})
    by_name = {task.name: task for task in tasks}
    expected = {
        task.name: expected_loss(task, by_name, free.logits, labels, weights) for task in tasks
    }
    for task in tasks:
        loss = pytest.approx(expected[task.name], rel=2e-4, abs=2e-5, nan_ok=True)
        assert logs[f"{task.name}_loss"] == loss
    parts = [task.weight * expected[task.name] for task in tasks]
    total = np.nan if np.isnan(parts).all() else np.nansum(parts)
    assert logs["loss"] == pytest.approx(total, rel=2e-4, abs=1e-4, nan_ok=True)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


# Drawn labels are few, and do not know of each other.
DRAWN = pytest.mark.filterwarnings(
    "ignore:No labels of task:UserWarning",
    "ignore:Labels of task .* contradict:UserWarning",
    "ignore:The only negative value:UserWarning",
)


@DRAWN
@quick
@given(problems())
def test_losses_of_random_tasks(problem):
    check_problem(problem)


@DRAWN
@pytest.mark.slow
@many
@given(problems())
def test_losses_of_many_random_tasks(problem):
    check_problem(problem)


# --- what a masked entry may hold ---


def poisoned(poison):
    """A head whose logits are what a kernel says less, in row 2, `poison`."""

    def head(task, rows, size, shape):
        logits = keras.layers.Dense(size, use_bias=False, name=f"{task.name}_logits")(rows)
        # Keras' own sum of (N, N) and (N, 1) adds the column to every row, on TensorFlow.
        logits = keras.ops.subtract(logits, keras.ops.where(rows[:, 2:3] > 0, poison, 0.0))
        return keras.layers.Activation(ACTIVATIONS[task.kind])(logits)

    return head


def root(y_true, y_pred):
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(y_true - y_pred), axis=-1))


@pytest.mark.parametrize("loss", [None, "mean_squared_error", root])
def test_a_masked_entry_has_no_loss_and_no_gradient_whatever_is_predicted(loss):
    price = Task("price", "regression", 2)
    tasks = [Task("buy"), Task("click", given="buy", trained_on="all"), *TASKS[1:3], price]
    y = {
        "buy": np.array([1, 0, -1]),
        "click": np.array([1, -1, -1]),
        "topic": np.array([2, 1, -1]),
        "tags": np.array([[0, 1], [1, 1], [-1, -1]]),
        "price": np.array([[0.5, 1.0], [2.0, 1.0], [np.nan, np.nan]]),
    }
    logits = {t.name: np.full((3, t.units), 0.25, "float32") for t in tasks}
    options = {} if loss is None else {"loss": {"price": loss}}
    clean, clean_gradients = own_heads(tasks, logits).step(y, **options)
    for poison in (np.nan, np.inf, -1e30):
        logs, gradients = own_heads(tasks, logits, poisoned(poison)).step(y, **options)
        assert logs == pytest.approx(clean)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, clean_gradients[name], rtol=1e-6)
            assert not gradient[2].any()


@pytest.mark.parametrize("metrics", [None, ["mse", "mae", "cosine_similarity"]])
def test_a_masked_entry_changes_no_metric_whatever_is_predicted(metrics):
    task = Task("price", "regression", 2)
    y = {"price": np.array([[0.5, 1.0], [np.nan, 2.0], [np.nan, np.nan]])}
    logits = {"price": np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], "float32")}
    clean, *others = (
        own_heads([task], logits, poisoned(poison)).step(y, metrics=metrics)[0]
        for poison in (0.0, np.nan, 1e30)
    )
    assert all(logs == pytest.approx(clean) for logs in others)


def test_one_missing_column_of_a_vector_has_no_loss_whatever_is_predicted():
    task = Task("price", "regression", 2)
    y = {"price": np.array([[0.5, np.nan], [1.0, 2.0]])}
    logits = np.array([[0.1, 1e30], [0.3, 0.4]], "float32")
    logs, gradients = own_heads([task], {"price": logits}).step(y, metrics=None)
    assert logs["price_loss"] == pytest.approx((0.4**2 + 0.7**2 + 1.6**2) / 3)
    assert logs["price_mae"] == pytest.approx((0.4 + 0.7 + 1.6) / 3)
    assert np.isfinite(gradients["price"]).all()


def test_nan_inputs_in_an_unlabelled_row_change_no_figure(made, plain):
    x = X.copy()
    x[3] = np.nan
    for way in ("evaluate", "test_on_batch"):
        assert run(made, way, x)[0] == pytest.approx(plain[way][0])


def test_nan_inputs_in_a_labelled_row_are_told(made):
    x = X.copy()
    x[0] = np.nan
    for way in ("fit", "evaluate"):
        with pytest.warns(UserWarning, match="loss of click, price, tags, topic is NaN or infin"):
            assert np.isnan(run(made, way, x)[0]["loss"])
    assert np.isnan(run(made, "train_on_batch", x)[0]["loss"])


# --- what is right in another form ---

RIGHT = {
    "lists": (X.tolist(), {name: column.tolist() for name, column in Y.items()}),
    "frames": (
        pd.DataFrame(X),
        {n: pd.Series(v) if v.ndim == 1 else pd.DataFrame(v) for n, v in Y.items()},
    ),
    "a dict of one input": ({"features": X}, Y),
    "float64": (X.astype("float64"), Y),
    "more columns": (X, {**Y, "more": np.array(list("abcdefg")), 3: None}),
    "labels with an axis": (X, Y | {"click": Y["click"][:, None].astype("int8")}),
    "float labels": (X, Y | {"click": np.array([0, 1, 1, np.nan], "float16")}),
}


@pytest.mark.parametrize(("x", "y"), RIGHT.values(), ids=RIGHT)
def test_other_forms_of_the_same_rows(made, plain, x, y):
    weights_of_one = (None, [1.0] * ROWS, {"click": None}, pd.Series(np.ones(ROWS)))
    for way, weight in zip(WAYS, weights_of_one, strict=True):
        logs, weights = run(made, way, x, y, weight)
        assert logs == pytest.approx(plain[way][0])
        assert all(np.allclose(*pair) for pair in zip(weights, plain[way][1], strict=True))
    ours, expected = made[0].predict_on_batch(x), made[0].predict_on_batch(X)
    assert all(np.array_equal(ours[name], expected[name]) for name in expected)


def test_labels_in_a_data_frame():
    model = zoo.shared_bottom(3, ["a", "b"], bottom_units=2, tower_units=())
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    columns = {"a": [0, 1, 1, -1], "b": [1, 0, 1, 1]}
    frame = model.evaluate(X, pd.DataFrame(columns), return_dict=True, verbose=0)
    assert frame == model.evaluate(X, columns, return_dict=True, verbose=0)


def test_train_on_batch_is_a_step_of_fit(made, plain):
    logs, weights = plain["train_on_batch"]
    assert logs == pytest.approx(plain["fit"][0])
    assert all(np.allclose(*pair) for pair in zip(weights, plain["fit"][1], strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(weights, made[1], strict=True))


# --- what is wrong ---

INPUTS = {
    "too narrow": (X[:, :2], r"'features' must have shape \(B, 3\). Received: shape=\(4, 2\)"),
    "flat": (X[:, 0], r"must have shape \(B, 3\)"),
    "deep": (X[:, None], r"must have shape \(B, 3\)"),
    "strings": (X.astype(str), r"Input 'features' must be numbers. Received: dtype=<U"),
    "objects": (X.astype(object), r"Input 'features' must be numbers. Received: dtype=object"),
    "complex": (X.astype(complex), "must be numbers"),
    "ragged": ([[1, 2, 3], [1], [2], [3]], "must be rows of one shape"),
    "empty list": ([], "must have shape"),
    "none": (None, "must be numbers. Received: dtype=object"),
    "other names": ({"feature": X}, "Missing: 'features'. Did you mean 'feature'"),
    "no names": ({}, "Missing: 'features'"),
}


@pytest.mark.parametrize(("x", "match"), INPUTS.values(), ids=INPUTS)
def test_inputs_that_do_not_fit(made, x, match):
    for way in WAYS:
        with pytest.raises(ValueError, match=match):
            run(made, way, x)
    for way in ("predict", "predict_on_batch"):
        with pytest.raises(ValueError, match=match):
            getattr(made[0], way)(x)


LABELS = {
    "other rows": (Y | {"click": np.ones(3)}, "one number of rows. Received: {'x': 4, 'click': 3"),
    "none": (None, "must be a dict by task name. Received: y of type NoneType"),
    "an array": (Y["click"], "must be a dict by task name. Received: y of type ndarray"),
    "strings": (Y | {"click": list("abcd")}, "'click' must be numbers. Received: dtype=<U1"),
    "objects": (Y | {"click": [0, 1, {}, 1]}, "'click' must be numbers. Received: dtype=object"),
    "dates": (Y | {"price": np.zeros(4, "datetime64[s]")}, "'price' must be numbers"),
    "complex": (Y | {"price": np.ones(4, complex)}, "'price' must be numbers"),
    "scalar": (Y | {"click": 1}, r"'click' must have shape .*Received: shape=\(\)"),
    "ragged": (Y | {"click": [[0], [1, 2], [1], [1]]}, "must be rows of one shape"),
    "unsigned": (Y | {"topic": np.array([0, 1, 2, 2**63], "uint64")}, "9223372036854775808"),
    "no float32": (Y | {"price": np.array([1e300, 0, 0, 0])}, "must be finite.*Received: 1e"),
    "out of range": (Y | {"topic": np.array([0, 1, 9, -1])}, r"must be classes in \[0, 3\)"),
    "no weight column": ({k: v for k, v in Y.items() if k != "w"}, "weight column .*Missing: 'w'"),
    "weight is None": (Y | {"w": None}, "weight column .*Missing: 'w'"),
    "NaN weight": (Y | {"w": np.array([1, np.nan, 1, 1])}, "Weight column 'w' must be finite"),
    "weight of strings": (Y | {"w": list("abcd")}, "Weight column 'w' must be numbers"),
    "weight of other rows": (Y | {"w": np.ones(3)}, "Weight column 'w' must have the shape"),
}


@pytest.mark.parametrize(("y", "match"), LABELS.values(), ids=LABELS)
def test_labels_that_do_not_fit(made, y, match):
    for way in WAYS:
        with pytest.raises(ValueError, match=match.replace("{", r"\{")):
            run(made, way, y=y)


WEIGHTS = {
    "NaN": (np.array([1, np.nan, 1, 1]), "of task 'click' must be finite where there is a label"),
    "infinite": ({"tags": np.array([1, np.inf, 1, 1])}, "of task 'tags' must be finite"),
    "short": (
        np.ones(3),
        r"must have the shape .*Received: shape=\(3,\), labels of shape=\(4, 1\)",
    ),
    "short of a task": ({"click": np.ones(3)}, "must have the shape of the labels"),
    "wide": (np.ones((4, 2)), r"must have shape \(B,\), or be a dict"),
    "wide of a task": ({"click": np.ones((4, 2))}, "must have the shape of the labels"),
    "a number": (2.0, r"must have shape \(B,\)"),
    "strings": (np.array(list("abcd")), "`sample_weight` must be numbers"),
    "objects": ([1, 1, {}, 1], "`sample_weight` must be numbers"),
    "None": ([1, 1, None, 1], "of task 'click' must be finite where there is a label"),
    "unknown": ({"clik": np.ones(4)}, "Did you mean 'click'"),
}


@pytest.mark.parametrize(("weight", "match"), WEIGHTS.values(), ids=WEIGHTS)
def test_sample_weights_that_do_not_fit(made, weight, match):
    for way in WAYS:
        with pytest.raises(ValueError, match=match):
            run(made, way, sample_weight=weight)


def test_a_nan_weight_of_an_unlabelled_row_changes_nothing(made, plain):
    spoiled = np.array([1, 1, 1, np.nan])
    for way in WAYS[1:3]:
        for weight in (spoiled, {"click": spoiled, "tags": spoiled[:, None]}):
            logs, _ = run(made, way, y=Y | {"w": spoiled}, sample_weight=weight)
            assert logs == pytest.approx(plain[way][0])


def test_class_weights_of_one_batch_are_refused(made):
    with pytest.raises(ValueError, match=r"`class_weight` must be None; give `Task\(class_weight"):
        made[0].train_on_batch(X, Y, class_weight={"click": {0: 1.0}})


def test_several_inputs_are_given_by_name():
    inputs = {name: keras.Input((2,), name=name) for name in ("one", "two")}
    x = keras.layers.Concatenate()(list(inputs.values()))
    model = MultiTaskModel(inputs=inputs, outputs={"a": keras.layers.Dense(1)(x)}, tasks=["a"])
    model.compile(run_eagerly=True)
    rows = {"one": np.ones((3, 2)), "two": np.ones((3, 2))}
    assert model.predict(rows, verbose=0)["a"].shape == (3, 1)
    for wrong, word in (
        ([rows["one"], rows["two"]], "by name of input. Received: x of type list"),
        (pd.DataFrame(rows["one"]), "Missing: 'one'. Received: [0, 1]"),
        ({"one": rows["one"]}, "Missing: 'two'"),
        (rows | {"two": np.ones((3, 3))}, r"'two' must have shape (B, 2)"),
    ):
        assert word in refusal(lambda wrong=wrong: model.fit(wrong, np.ones(3), verbose=0))
        assert word in refusal(lambda wrong=wrong: model.predict(wrong, verbose=0))


# --- no rows, one row ---


def test_no_rows(made):
    none = {name: column[:0] for name, column in Y.items()}
    for way in ("fit", "evaluate"):
        with pytest.raises(ValueError, match=r"at least one row\. Received: 0 rows"):
            run(made, way, X[:0], none)
    with pytest.raises(ValueError, match="at least one row"):
        made[0].fit(X, Y, validation_data=(X[:0], none), verbose=0)
    for way in ("train_on_batch", "test_on_batch"):
        logs, weights = run(made, way, X[:0], none)
        # What the optimizer minimised; there is nothing to evaluate.
        assert logs.pop("loss") == 0 if way == "train_on_batch" else np.isnan(logs.pop("loss"))
        assert np.isnan(list(logs.values())).all()
        assert all(np.array_equal(*pair) for pair in zip(weights, made[1], strict=True))
    for way in ("predict", "predict_on_batch"):
        shapes = {name: value.shape for name, value in getattr(made[0], way)(X[:0]).items()}
        assert shapes == {"click": (0, 1), "topic": (0, 3), "tags": (0, 2), "price": (0, 1)}


def test_one_row_is_as_good_as_many(made):
    one = {name: column[:1] for name, column in Y.items()}
    losses = [run(made, way, X[:1], one)[0] for way in WAYS]
    assert all(logs == pytest.approx(losses[0]) for logs in losses)


# --- anything at all ---

ANYTHING = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(-2, 3) | st.floats() | st.none() | st.text(max_size=2), max_size=5),
    st.lists(st.lists(st.integers(-1, 2), max_size=3), max_size=4),
    st.builds(np.full, st.sampled_from([(4,), (4, 1), (4, 2), (4, 3), (0,), (4, 1, 1), ()]),
              st.sampled_from([0, 1, -1, 0.5, np.nan, np.inf, True, "x", None, 1j, b"\xff"])),
)  # fmt: skip


def is_nothing(labels):
    """Whether every one of the labels is marked missing."""
    flat = np.ravel(np.asarray(labels, object))
    return all(label is None or label == -1 or label != label for label in flat)


def check_anything(made, key, value, way):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a NaN loss, where inputs hold NaN
        refused = refusal(lambda: run(made, way, y=Y | {key: value}))
        if refused is None:
            logs, _ = run(made, way, y=Y | {key: value})
            lost = {name for name, loss in logs.items() if not np.isfinite(loss)}
            assert lost <= ({f"{key}_loss"} if is_nothing(value) else set())


@quick
@given(st.sampled_from(sorted(Y)), ANYTHING, st.sampled_from(WAYS))
def test_any_label_is_right_or_refused(made, key, value, way):
    check_anything(made, key, value, way)


@pytest.mark.slow
@many
@given(st.sampled_from(sorted(Y)), ANYTHING, st.sampled_from(WAYS))
def test_any_label_of_many_is_right_or_refused(made, key, value, way):
    check_anything(made, key, value, way)
