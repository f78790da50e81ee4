"""Users' own losses, metrics and initializers do what they were made to do, saved or not."""

import functools
import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_mtl import MultiTaskModel, Task, zoo
from keras_mtl.features import TabularFeatures
from keras_mtl.layers import Experts, Gate, MoE, TaskDense
from keras_mtl.layers.initialization import seeded
from keras_mtl.own_objects import deep_copy
from tests.training.free_logits import own_heads

RNG = np.random.default_rng(2)
LOGITS = RNG.normal(size=(16, 1)) * 2
LABELS = RNG.integers(0, 2, 16)
PROBABILITIES = 1 / (1 + np.exp(-LOGITS[:, 0]))


class Above(keras.metrics.Metric):
    """The share of predictions above a threshold; it has no `get_config`."""

    def __init__(self, threshold=0.5, name="above", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.counts = [self.add_variable((), "zeros", name=key) for key in ("above", "rows")]

    def update_state(self, y_true, y_pred, sample_weight=None):
        above = ops.cast(ops.reshape(y_pred, -1) > self.threshold, "float32")
        weights = ops.ones_like(above)
        if sample_weight is not None:
            weights = ops.reshape(sample_weight, -1)
        self.counts[0].assign_add(ops.sum(above * weights))
        self.counts[1].assign_add(ops.sum(weights))

    def result(self):
        return self.counts[0] / self.counts[1]


class Quantile(keras.losses.Loss):
    def __init__(self, q=0.5, name="quantile"):
        super().__init__(name=name)
        self.q = q

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.maximum(self.q * error, (self.q - 1) * error), axis=-1)


class WholeQuantile(Quantile):
    def get_config(self):
        return {"q": self.q, "name": self.name}


@keras.saving.register_keras_serializable("test_own_objects")
class FullQuantile(Quantile):
    """Its config holds what `Loss` holds and `q`, which leaves out `dtype`."""

    def __init__(self, q=0.5, name="full", reduction="sum_over_batch_size", dtype=None):
        keras.losses.Loss.__init__(self, name, reduction, dtype)
        self.q = q

    def get_config(self):
        return {**super(Quantile, self).get_config(), "q": self.q}


@keras.saving.register_keras_serializable("test_own_objects")
class OwnHuber(keras.losses.Huber):
    def __init__(self, delta=1.0, name="own_huber", **kwargs):
        super().__init__(delta, name=name, **kwargs)


class Const(keras.initializers.Initializer):
    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        return ops.full(shape, self.value, dtype=dtype)


class Noise(keras.initializers.Initializer):
    """A seed of its own, and no `get_config`."""

    def __init__(self, stddev=0.1, seed=3):
        self.stddev, self.seed = stddev, seed

    def __call__(self, shape, dtype=None):
        return keras.random.normal(shape, stddev=self.stddev, seed=self.seed, dtype=dtype)


class Scaled(keras.initializers.VarianceScaling):
    def __init__(self, gain=1.0):
        super().__init__(gain, "fan_in")


class ByWidth(keras.initializers.RandomNormal):
    """Reads the shape, which its base does not."""

    def __call__(self, shape, dtype=None):
        return super().__call__(shape, dtype=dtype) / shape[0] ** 0.5


class Glorot(keras.initializers.GlorotUniform):
    """Other arguments than its base, and a configuration of them."""

    def __init__(self, offset=0.0, seed=None):
        super().__init__(seed=seed)
        self.offset = offset

    def __call__(self, shape, dtype=None):
        return super().__call__(shape, dtype=dtype) + self.offset

    def get_config(self):
        return {"offset": self.offset, "seed": self.seed}


class From(keras.initializers.Initializer):
    """Uniform draws in [low, low + 1); no `get_config`."""

    def __init__(self, low=0, seed=0):
        self.low, self.seed = low, seed

    def __call__(self, shape, dtype=None):
        return keras.random.uniform(shape, self.low, self.low + 1, dtype=dtype, seed=self.seed)


def entry_loss(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


def power(y_true, y_pred, exponent=2):
    return ops.mean((y_true - y_pred) ** exponent, axis=-1)


class Power:
    def __init__(self, exponent):
        self.exponent = exponent

    def __call__(self, y_true, y_pred):
        return power(y_true, y_pred, self.exponent)


WRAPPED = keras.metrics.MeanMetricWrapper(lambda y, p: ops.abs(y - p), name="wrapped")


def model_of(task, **compile_arguments):
    model = own_heads([task], {task.name: LOGITS}).model
    model.compile("sgd", run_eagerly=True, **compile_arguments)
    return model


def evaluate(model, y=LABELS):
    return model.evaluate(np.eye(16, dtype="float32"), y, verbose=0, return_dict=True)


# --- metrics and losses ---


@pytest.mark.parametrize("given_to", ["task", "compile"])
def test_a_metric_keeps_what_it_was_made_with(given_to):
    metric = Above(threshold=0.2)
    in_task = given_to == "task"
    model = model_of(
        Task("a", metrics=metric if in_task else None), metrics=None if in_task else [metric]
    )
    right = np.mean(PROBABILITIES > 0.2)
    assert right != np.mean(PROBABILITIES > 0.5)
    assert evaluate(model)["a_above"] == pytest.approx(right)
    assert float(metric.counts[1]) == 0.0  # the user's own object saw nothing


@pytest.mark.parametrize("given_to", ["task", "compile"])
def test_a_loss_keeps_what_it_was_made_with(given_to):
    loss = Quantile(q=0.9)
    in_task = given_to == "task"
    task = Task("a", "regression", loss=loss if in_task else None)
    model = model_of(task, loss=None if in_task else loss)
    error = LABELS - LOGITS[:, 0]
    right = np.maximum(0.9 * error, -0.1 * error).mean()
    assert evaluate(model)["a_loss"] == pytest.approx(right, 1e-5)


@pytest.mark.parametrize(
    ("metric", "name"), [(functools.partial(power, exponent=4), "partial"), (Power(4), "power")]
)
def test_a_function_without_a_name_is_a_metric_named_by_its_class(metric, name):
    logs = evaluate(model_of(Task("a", metrics=[metric])))
    assert logs[f"a_{name}"] == pytest.approx(np.mean((LABELS - PROBABILITIES) ** 4))


def test_a_copy_is_made_as_its_class_says():
    class Shared(Quantile):
        """Its copies share one cache."""

        def __init__(self, q):
            super().__init__(q)
            self.cache, self.copies = {}, 0

        def __deepcopy__(self, memo):
            made = Shared(self.q)
            made.cache, made.copies = self.cache, self.copies + 1
            return made

    loss = Shared(0.9)
    copied = deep_copy([loss, loss])
    assert copied[0] is copied[1] is not loss
    assert (copied[0].copies, copied[0].q) == (1, 0.9)
    assert copied[0].cache is loss.cache


def test_every_task_and_model_has_a_copy_of_its_own():
    metric = Above(threshold=0.2)
    tasks = [Task("a", metrics=metric), Task("b", metrics=[metric])]
    for shift in (0.0, 4.0):
        logits = {"a": LOGITS + shift, "b": LOGITS - shift}
        rows = own_heads(tasks, logits)
        rows.model.compile("sgd", run_eagerly=True)
        logs = evaluate(rows.model, {"a": LABELS, "b": LABELS})
        for name, values in logits.items():
            right = np.mean(values > np.log(0.25))
            assert logs[f"{name}_above"] == pytest.approx(right)


def test_a_metric_that_was_used_starts_anew():
    metric = Above(threshold=0.2)
    metric.update_state(LABELS, np.ones(16))
    model = model_of(Task("a", metrics=metric))
    logs = model.test_on_batch(np.eye(16, dtype="float32"), LABELS, return_dict=True)
    assert logs["a_above"] == pytest.approx(np.mean(PROBABILITIES > 0.2))


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.AUC(num_thresholds=50, name="m"),
        keras.metrics.MeanMetricWrapper(keras.losses.Huber(0.2, reduction=None), name="m"),
        keras.metrics.F1Score(threshold=0.4, average="micro", name="m"),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_a_copy_of_a_metric_counts_as_the_metric(metric):
    labels, outputs = LABELS[:, None].astype("float32"), PROBABILITIES[:, None].astype("float32")
    copied = deep_copy(metric)
    for one in (copied, metric):
        one.update_state(labels[:8], outputs[:8])
    copied.update_state(labels[8:], outputs[8:])
    half = float(metric.result())
    metric.update_state(labels[8:], outputs[8:])
    assert float(copied.result()) == pytest.approx(float(metric.result()))
    assert float(metric.result()) != half
    assert not {id(v) for v in copied.variables} & {id(v) for v in metric.variables}
    copied.reset_state()
    assert all(not np.any(ops.convert_to_numpy(v)) for v in copied.variables)


def test_a_copy_goes_through_whatever_an_object_holds():
    class Holder(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="holder")
            self.parts = [Above(0.1), Above(0.9)]
            self.by_name = {"loss": Quantile(0.7), "sizes": (1, 2), "all": {3}}
            self.function = self.by_name["loss"].call

        def update_state(self, y_true, y_pred, sample_weight=None):
            for part in self.parts:
                part.update_state(y_true, y_pred, sample_weight)

        def result(self):
            return self.parts[0].result() - self.parts[1].result()

    metric = Holder()
    copied = deep_copy(metric)
    copied.update_state(np.ones(4), np.array([0.0, 0.5, 0.95, 0.5]))
    assert float(copied.result()) == pytest.approx(0.5)
    assert [float(v) for v in metric.variables] == [0.0] * 4
    assert len(copied.variables) == 4
    assert copied.by_name["sizes"] == (1, 2)
    assert copied.by_name["loss"] is not metric.by_name["loss"]
    assert copied.function.__self__ is copied.by_name["loss"]
    copied.reset_state()
    assert [float(v) for v in copied.variables] == [0.0] * 4
    copied.parts.append(Above(0.3))
    assert (len(copied.variables), len(metric.variables)) == (6, 4)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="replicas are TensorFlow's")
def test_a_metric_of_two_replicas_counts_all_rows(mirrored):
    metric = Above(threshold=0.2)
    with mirrored.scope():
        model = own_heads(["a"], {"a": LOGITS}).model
        model.compile("sgd", metrics=[metric])
    logs = evaluate(model)
    assert logs["a_above"] == pytest.approx(np.mean(PROBABILITIES > 0.2))


# --- files ---


@pytest.mark.parametrize(
    ("task", "arguments", "match"),
    [
        (Task("a", metrics=Above(0.2)), {}, r"Above, `metrics` of task 'a'.*no threshold"),
        (Task("a", loss=Quantile(0.9)), {}, r"Quantile, `loss` of task 'a'.*no q"),
        (Task("a"), {"metrics": {"a": [Above(0.2)]}}, r"Above, `metrics`.*no threshold"),
        (Task("a"), {"loss": {"a": Quantile(0.9)}}, r"Quantile, `loss`.*no q"),
        (Task("a", loss=lambda y, p: (y - p) ** 2), {}, "lambda as `loss` of task 'a'"),
        (Task("a"), {"loss": lambda y, p: (y - p) ** 2}, "lambda as `loss`"),
        (Task("a"), {"weighted_metrics": [lambda y, p: (y - p) ** 2]}, "lambda as `weighted_me"),
        (Task("a"), {"metrics": [WRAPPED]}, "lambda as `metrics`"),
        (Task("a", metrics=WRAPPED), {}, "lambda as `metrics` of task 'a'"),
        (Task("a", loss=functools.partial(power, exponent=4)), {}, "'partial' as `loss` of task"),
        (Task("a"), {"loss": {"a": Power(4)}}, "'Power' as `loss` of task 'a'"),
        (Task("a"), {"metrics": [functools.partial(power, exponent=4)]}, "'partial' as `metrics`"),
    ],
)
def test_what_a_file_cannot_bring_back_is_refused_by_name(task, arguments, match, tmp_path):
    path = tmp_path / "model.keras"
    model = model_of(task, **arguments)
    evaluate(model)
    path.write_text("an earlier model")
    with pytest.raises(ValueError, match=match):
        model.save(path)
    assert path.read_text() == "an earlier model"
    warnings.simplefilter("ignore")  # Keras, of a lambda in a task
    with pytest.raises(ValueError, match=match):
        keras.saving.save_model(model, path)


@pytest.mark.parametrize("loss", [FullQuantile(0.9), OwnHuber(0.1)], ids=lambda x: x.name)
def test_a_loss_whose_file_holds_all_that_counts_is_saved(loss, tmp_path):
    model = model_of(Task("a", "regression", loss=loss))
    logs = evaluate(model)
    assert logs["a_loss"] != pytest.approx(evaluate(model_of(Task("a", "regression")))["a_loss"])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert evaluate(again) == pytest.approx(logs, rel=1e-6)
    assert Task("a", "regression", loss=loss) == Task.from_config(model.tasks[0].get_config())


def test_an_initializer_that_a_file_cannot_bring_back_is_refused(tmp_path):
    x = keras.Input((3,), name="x")
    stacked = TaskDense(1, 1, "sigmoid", kernel_initializer=Const(5.0), name="dense")(x)
    model = MultiTaskModel(inputs=x, outputs={"a": stacked[:, 0]}, tasks=["a"])
    with pytest.raises(ValueError, match=r"Const, `kernel_initializer` of layer 'dense'.*no value"):
        model.save(tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("layer", "attribute"),
    [
        (TaskDense(1, 1, activation=lambda x: x, name="own"), "activation"),
        (TaskDense(1, 1, activation=functools.partial(ops.elu, alpha=2), name="own"), "activation"),
        (TaskDense(1, 1, kernel_initializer=lambda s, dtype: ops.ones(s), name="own"), "kernel_in"),
        (TaskDense(1, 1, kernel_regularizer=lambda w: ops.sum(w), name="own"), "kernel_reg"),
        (Experts(1, 1, bias_initializer=lambda s, dtype: ops.ones(s), name="own"), "bias_init"),
        (Gate(1, 1, kernel_initializer=lambda s, dtype: ops.ones(s), name="own"), "kernel_init"),
    ],
)
def test_a_function_without_a_name_is_refused_in_a_layer(layer, attribute, tmp_path):
    x = keras.Input((3,), name="x")
    y = keras.ops.sigmoid(keras.ops.reshape(layer(x), (-1, 1)))
    model = MultiTaskModel(inputs=x, outputs={"a": y}, tasks=["a"])
    with pytest.raises(ValueError, match=rf"as `{attribute}\w*` of layer 'own'"):
        model.save(tmp_path / "model.keras")


def test_unregistered_objects_come_back_as_keras_brings_them_back(tmp_path):
    task = Task("a", "regression", loss=WholeQuantile(q=0.9), metrics=entry_loss)
    model = model_of(task)
    logs = evaluate(model)
    model.save(tmp_path / "model.keras")
    known = {"WholeQuantile": WholeQuantile, "entry_loss": entry_loss}
    again = keras.saving.load_model(tmp_path / "model.keras", custom_objects=known)
    assert evaluate(again) == pytest.approx(logs, rel=1e-6)
    again.compile("sgd", run_eagerly=True)  # the task has its loss, known by name or not
    assert evaluate(again) == pytest.approx(logs, rel=1e-6)
    blind = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = np.eye(16, dtype="float32")
    np.testing.assert_allclose(blind.predict(x, verbose=0)["a"], LOGITS, rtol=1e-6)


def test_tasks_are_equal_where_their_objects_are():
    assert Task("a", loss=WholeQuantile(0.9)) == Task("a", loss=WholeQuantile(0.9))
    assert Task("a", loss=WholeQuantile(0.9)) != Task("a", loss=WholeQuantile(0.5))
    loss, metric = Quantile(0.9), Above(0.2)
    task = Task("a", loss=loss, metrics=[metric])
    assert task.loss is loss
    assert task.metrics == [metric]
    assert task == Task("a", loss=loss, metrics=[metric])
    assert Task("a", loss=Quantile(0.9)) != Task("a", loss=Quantile(0.5))


# --- initializers ---


def weights_of(layer, shape=(None, 4)):
    layer.build(shape)
    return {w.name: ops.convert_to_numpy(w) for w in layer.weights}


@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: TaskDense(3, 2, **kw),
        lambda **kw: Experts(3, 2, **kw),
        lambda **kw: MoE(3, 2, gate_initializer=kw["kernel_initializer"], **kw),
    ],
    ids=["TaskDense", "Experts", "MoE"],
)
@pytest.mark.parametrize(
    "initializer", [Const(5.0), lambda shape, dtype=None: ops.full(shape, 5.0)]
)
def test_an_initializer_keeps_what_it_was_made_with(make, initializer):
    layer = make(kernel_initializer=initializer)
    layer(np.ones((2, 4), "float32"))
    kernels = [w for w in layer.weights if "kernel" in w.name and "noise" not in w.path]
    assert kernels
    for kernel in kernels:
        np.testing.assert_array_equal(ops.convert_to_numpy(kernel), 5.0)


def test_a_layer_that_cannot_be_copied_is_refused_as_an_expert():
    expert = keras.Sequential([keras.layers.Dense(2, kernel_initializer=Const(5.0))])
    with pytest.raises(ValueError, match=r"Const, its `kernel_initializer`.*no value in it"):
        Experts(3, expert=expert)


def test_a_table_keeps_what_its_initializer_was_made_with():
    table = TabularFeatures(categorical=["city"], embeddings_initializer=Const(5.0))
    table.adapt({"city": np.array(["Rome", "Oslo"])})
    model = zoo.shared_bottom(table, ["a"])
    (weight,) = (w for w in model.weights if "embeddings" in w.name)
    np.testing.assert_array_equal(ops.convert_to_numpy(weight)[2:], 5.0)


@pytest.mark.parametrize(("make", "std"), [(lambda: Noise(0.1), 0.1), (lambda: Scaled(4.0), 0.2)])
def test_slices_of_a_users_initializer_differ_and_keep_its_scale(make, std):
    for seed in (None, 7):
        kernel = weights_of(TaskDense(6, 40, kernel_initializer=make(), seed=seed), (None, 100))
        slices = kernel["kernel"].reshape(6, -1)
        np.testing.assert_allclose(slices.std(axis=1), std, rtol=0.1)
        assert np.abs(np.corrcoef(slices) - np.eye(6)).max() < 0.1


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize(
    ("initializer", "mean", "std"),
    [
        (ByWidth(stddev=1.0, seed=1), 0, 0.05),
        (Glorot(offset=2.0, seed=1), 2, (2 / 450) ** 0.5),
    ],
    ids=["reads the shape", "other arguments"],
)
def test_a_subclass_of_an_initializer_of_keras_draws_slice_by_slice(initializer, mean, std, seed):
    layer = TaskDense(4, 50, kernel_initializer=initializer, seed=seed)
    slices = weights_of(layer, (None, 400))["kernel"].reshape(4, -1)
    np.testing.assert_allclose(slices.std(axis=1), std, rtol=0.05)
    np.testing.assert_allclose(slices.mean(axis=1), mean, atol=0.01)
    assert np.abs(np.corrcoef(slices) - np.eye(4)).max() < 0.1


def test_a_subclass_of_a_constant_fills_every_slice_as_it_is():
    class Steps(keras.initializers.Constant):
        pass

    steps = np.arange(12.0).reshape(4, 3)
    kernel = weights_of(TaskDense(2, 3, kernel_initializer=Steps(steps)))["kernel"]
    np.testing.assert_array_equal(kernel, [steps, steps])


@pytest.mark.parametrize("make", [TaskDense, Experts])
@pytest.mark.parametrize("number", [0, 2, 5])
def test_an_argument_that_equals_the_seed_stays(make, number):
    layer = make(3, 2, kernel_initializer=From(low=number, seed=number))
    layer(np.ones((2, 4), "float32"))
    (kernel,) = (ops.convert_to_numpy(w) for w in layer.weights if "kernel" in w.name)
    assert number <= kernel.min() < kernel.max() < number + 1


def test_an_argument_of_a_tables_initializer_that_equals_the_seed_stays():
    table = TabularFeatures(categorical=["city"], embeddings_initializer=From(low=0, seed=0))
    table.adapt({"city": np.array(["Rome", "Oslo"])})
    model = zoo.shared_bottom(table, ["a"])
    (weight,) = (ops.convert_to_numpy(w) for w in model.weights if "embeddings" in w.name)
    assert 0 <= weight[2:].min() < weight[2:].max() < 1


def test_copies_of_a_users_initializer_say_the_seeds_that_they_draw_by():
    class Wide(keras.initializers.RandomNormal):
        def __init__(self, fan=2, seed=2):
            super().__init__(stddev=fan**-0.5, seed=seed)
            self.fan = fan

    first, second = (seeded(Wide(2, seed=2), 1, name) for name in "ab")
    assert first.fan == second.fan == 2
    assert first.get_config()["seed"] == first.seed
    assert first.seed != second.seed


def test_a_users_initializer_is_seeded_by_its_layer():
    def kernel(**options):
        return weights_of(TaskDense(2, 8, kernel_initializer=Noise(), **options))["kernel"]

    np.testing.assert_array_equal(kernel(seed=1), kernel(seed=1))
    np.testing.assert_array_equal(kernel(), kernel())  # its own seed
    assert not np.allclose(kernel(seed=1), kernel(seed=2))


def test_a_table_of_several_vocabularies_draws_each_by_a_users_initializer():
    table = TabularFeatures(categorical=["a", "b"], embeddings_initializer=Noise(0.1))
    names = np.array([f"n{i}" for i in range(50)])
    table.adapt({"a": names, "b": names})
    model = zoo.shared_bottom(table, ["t"])
    (weight,) = (w for w in model.weights if "embeddings" in w.name)
    first, second = np.split(ops.convert_to_numpy(weight), 2)
    assert first[5:].std() == pytest.approx(0.1, rel=0.2)
    assert not np.allclose(first, second)
