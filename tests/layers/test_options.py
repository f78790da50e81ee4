"""Regularisers, priors, dropout, normalisation, given experts, and refused arguments."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import CGC, PLE, Experts, Gate, MMoE, TaskDense


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype("float32")


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


@keras.saving.register_keras_serializable("tests")
class SpectralNorm(keras.regularizers.Regularizer):
    """A penalty that is not a sum over entries."""

    def __call__(self, x):
        return keras.ops.sqrt(keras.ops.sum(keras.ops.square(x)))

    def get_config(self):
        return {}


PENALTIES = [
    (keras.regularizers.L2(0.1), lambda k: 0.1 * np.sum(k**2)),
    ("l1", lambda k: 0.01 * np.sum(np.abs(k))),
    (keras.regularizers.L1L2(0.1, 0.2), lambda k: 0.1 * np.abs(k).sum() + 0.2 * (k**2).sum()),
    (SpectralNorm(), lambda k: np.linalg.norm(k)),
]


@pytest.mark.parametrize(("regularizer", "penalty"), PENALTIES)
@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: TaskDense(3, 2, **kw),
        lambda **kw: Experts(3, (5, 2), **kw),
        lambda **kw: MMoE(2, 3, (5, 2), **kw),
        lambda **kw: PLE(2, 2, 1, 1, (5, 2), **kw),
    ],
)
def test_the_penalty_is_the_sum_of_those_of_separate_kernels(make, regularizer, penalty):
    layer = make(kernel_regularizer=regularizer)
    layer(draw(5, 4))
    kernels = [w for w in layer.weights if w.path.endswith("kernel") and "gate" not in w.path]
    expected = sum(penalty(kernel) for stack in kernels for kernel in array(stack.value))
    np.testing.assert_allclose(float(sum(layer.losses)), expected, rtol=1e-5)


def test_a_regulariser_of_orthogonality_sees_one_matrix_at_a_time():
    orthogonal = keras.regularizers.OrthogonalRegularizer(0.1)
    layer = Experts(3, 4, kernel_regularizer=orthogonal)
    layer(draw(5, 4))
    kernels = array(layer.dense[0].kernel.value)
    expected = sum(float(orthogonal(keras.ops.convert_to_tensor(kernel))) for kernel in kernels)
    np.testing.assert_allclose(float(sum(layer.losses)), expected, rtol=1e-5)


def test_a_gate_has_a_regulariser_of_its_own():
    layer = Gate(3, 2, kernel_regularizer="l2")
    layer(draw(5, 4))
    expected = 0.01 * np.sum(array(layer.dense[0].kernel.value) ** 2)
    np.testing.assert_allclose(float(sum(layer.losses)), expected, rtol=1e-5)


@keras.saving.register_keras_serializable("tests")
class ScaledPrior(keras.layers.Layer):
    """Owns a weight, adds the scaled sum of squares of the kernel, and remembers its dtype."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[0],), initializer="ones", name="scale")

    def call(self, kernel):
        self.seen = keras.backend.standardize_dtype(kernel.dtype)
        energy = keras.ops.sum(keras.ops.square(kernel), axis=(1, 2))
        self.add_loss(keras.ops.sum(self.scale * energy))
        return kernel


def test_a_prior_belongs_to_its_owner_and_its_loss_is_the_models(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, TaskDense(3, 2, prior=ScaledPrior())(inputs))
    layer = model.layers[-1]
    assert "scale" in [weight.name for weight in layer.trainable_weights]
    for _ in range(2):  # a second call replaces the loss of the first
        model(draw(5, 4))
        expected = np.sum(array(layer.kernel.value) ** 2)
        np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert isinstance(loaded.prior, ScaledPrior)
    assert len(loaded.weights) == len(layer.weights)


def test_a_prior_sees_the_kernel_in_full_precision():
    layer = TaskDense(3, 2, prior=ScaledPrior(dtype="float32"), dtype="mixed_bfloat16")
    assert layer(draw(5, 4)).dtype == "bfloat16"
    assert layer.prior.seen == "float32"
    exact = np.sum(array(layer.kernel.value) ** 2)
    np.testing.assert_allclose(float(sum(layer.losses)), exact, rtol=1e-6)


def test_dropout_drops_units_of_each_expert_while_training_only():
    layer = Experts(4, 200, dropout=0.25, activation=None, bias_initializer="ones")
    rows = np.zeros((50, 3), "float32")  # every unit is 1
    np.testing.assert_array_equal(array(layer(rows)), 1.0)
    first, second = array(layer(rows, training=True)), array(layer(rows, training=True))
    np.testing.assert_allclose((first == 0).mean(axis=(0, 2)), 0.25, atol=0.03)
    np.testing.assert_allclose(first[first != 0], 1 / 0.75, rtol=1e-6)
    assert np.any(first != second)
    assert np.any(first[:, 0] != first[:, 1])


def test_dropout_repeats_with_the_seed():
    rows = np.ones((5, 3), "float32")
    first, second, other = (Experts(2, 30, dropout=0.5, seed=seed) for seed in (1, 1, 2))
    drops = [array(layer(rows, training=True)) == 0 for layer in (first, second, other)]
    np.testing.assert_array_equal(drops[0], drops[1])
    assert np.any(drops[0] != drops[2])


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_normalisation_is_each_experts_own(kind):
    layer = Experts(3, 7, normalization=kind, activation=None)
    inputs = draw(64, 5) * 10
    outputs = array(layer(inputs, training=True))
    linear = np.einsum("bd,edu->beu", inputs, array(layer.dense[0].kernel.value))
    axis = 0 if kind == "batch" else 2
    centred = linear - linear.mean(axis, keepdims=True)
    expected = centred / np.sqrt(centred.var(axis, keepdims=True) + 1e-3)
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-3)


def test_masked_rows_do_not_count_in_the_statistics_of_a_batch():
    layer = Experts(2, 3, normalization="batch")
    inputs = draw(4, 6, 5)
    mask = np.arange(6) < np.array([[6], [3], [1], [4]])
    changed = np.where(mask[..., None], inputs, 100.0).astype("float32")
    first = array(layer(inputs, training=True, mask=keras.ops.convert_to_tensor(mask)))
    second = array(layer(changed, training=True, mask=keras.ops.convert_to_tensor(mask)))
    np.testing.assert_allclose(first[mask], second[mask], rtol=1e-4, atol=1e-5)


def test_experts_of_the_users_own_equal_the_stacked_ones():
    stacked = Experts(3, (5, 2))
    network = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(2, activation="relu")]
    copied = Experts(3, expert=keras.Sequential(network))
    inputs = draw(6, 4)
    stacked(inputs), copied(inputs)
    for index, copy in enumerate(copied.copies):
        for dense, layer in zip(stacked.dense, copy.layers, strict=True):
            layer.kernel.assign(dense.kernel[index])
    np.testing.assert_allclose(array(copied(inputs)), array(stacked(inputs)), rtol=1e-5, atol=1e-6)


def test_the_given_expert_is_a_template_and_stays_untouched():
    template = keras.layers.Dense(3)
    template.build((None, 4))
    before = array(template.kernel.value).copy()
    layer = Experts(2, expert=template)
    layer.build((None, 4))
    assert template not in layer._flatten_layers()
    assert [copy.name for copy in layer.copies] == ["expert_0", "expert_1"]
    np.testing.assert_array_equal(array(template.kernel.value), before)
    assert not np.array_equal(array(layer.copies[0].kernel.value), before)


def test_dropout_inside_a_given_expert_is_off_at_inference_and_differs_between_experts():
    template = keras.Sequential([keras.layers.Dropout(0.5, seed=1)])
    layer = MMoE(2, 3, expert=template)
    rows = np.ones((5, 40), "float32")
    np.testing.assert_allclose(array(layer(rows)), 1.0, rtol=1e-6)
    dropped = array(layer.experts(rows, training=True))
    assert np.any(dropped[:, 0] != dropped[:, 1])


REFUSED = [
    (lambda: TaskDense(0, 2), r"`num_tasks` must be an integer of at least 1.*num_tasks=0"),
    (lambda: TaskDense(2, -1), "`units` must be"),
    (lambda: TaskDense(2, 2.5), "`units` must be"),
    (lambda: Experts(0, 2), "`num_experts` must be"),
    (lambda: Experts(2), "`units` is needed without `expert`"),
    (lambda: Experts(2, ()), "`units` must be"),
    (lambda: Experts(2, (3, 0)), "`units` must be"),
    (lambda: Experts(2, 3, dropout=1.0), r"`dropout` must be in \[0, 1\)"),
    (lambda: Experts(2, 3, normalization="bach"), "`normalization` must be.*Did you mean 'batch'"),
    (lambda: Experts(2, 3, input_slots=(0,)), "`input_slots` must hold a slot"),
    (lambda: Experts(2, 3, input_slots=(0, -1)), "`input_slots` must hold a slot"),
    (lambda: Gate(3, 0), "`num_gates` must be"),
    (lambda: Gate(3, temperature=0.0), "`temperature` must be positive"),
    (lambda: Gate(3, temperature=float("inf")), "`temperature` must be positive"),
    (lambda: Gate(3, 2, visible=[(0,)]), "`visible` must hold"),
    (lambda: Gate(3, 2, visible=[(0,), ()]), "`visible` must hold"),
    (lambda: Gate(3, 1, visible=[(3,)]), "`visible` must hold"),
    (lambda: MMoE(2, 0, 4), "`num_experts` must be"),
    (lambda: MMoE(2, 3), "`expert_units` is needed"),
    (lambda: MMoE(2, 3, 4, gate_temperature=-1.0), "`gate_temperature` must be positive"),
    (lambda: MMoE(2, 3, 4, gate_units=(0,)), "`gate_units` must be"),
    (lambda: CGC(2, -1, 1, 4), "`shared_experts` must be"),
    (lambda: CGC(2, 1, (1, 2, 3), 4), "`task_experts` must be one number or one a task"),
    (lambda: CGC(2, 1, (1, -2), 4), "`task_experts` must be"),
    (lambda: CGC(2, 0, (1, 0), 4), "must give each task an expert"),
    (lambda: PLE(2, 0, 1, 1, 4), "`levels` must be"),
    (lambda: PLE(2, 2, 0, 1, 4), "`shared_experts` must be an integer of at least 1"),
    (lambda: TaskDense(3, 2, task_inputs=True)(draw(5, 4)), r"shape \(\.\.\., num_tasks, D\)"),
    (lambda: TaskDense(3, 2, task_inputs=True)(draw(5, 2, 4)), r"shape \(\.\.\., num_tasks, D\)"),
    (lambda: Experts(2, 3, input_slots=(0, 2))(draw(5, 2, 4)), "with S > 2"),
    (lambda: CGC(2, 1, 1, 4, task_inputs=True)(draw(5, 2, 4)), r"shape \(\.\.\., 3, D\)"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_bad_arguments_are_refused_with_what_was_expected_and_received(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "Received: " in str(caught.value)
