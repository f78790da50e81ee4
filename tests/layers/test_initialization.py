"""Every slice of a stacked kernel has its own draw, with the variance of its own shape."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import CGC, PLE, Experts, MMoE, TaskDense
from keras_mtl.layers.initialization import StackedInitializer, derive_seed, get_initializer

initializers = keras.initializers
N, D, U = 6, 120, 40

STD = {  # the standard deviation that one kernel (D, U) has
    "glorot_uniform": (2 / (D + U)) ** 0.5,
    "glorot_normal": (2 / (D + U)) ** 0.5,
    "he_normal": (2 / D) ** 0.5,
    "he_uniform": (2 / D) ** 0.5,
    "lecun_normal": (1 / D) ** 0.5,
    "lecun_uniform": (1 / D) ** 0.5,
    "random_normal": 0.05,
    "random_uniform": 0.05 / 3**0.5,
    "orthogonal": (1 / D) ** 0.5,
}


@keras.saving.register_keras_serializable("tests")
class Seeded(initializers.Initializer):
    """A user's initializer: a seed of its own, a scale that depends on the fan-in."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed

    def __call__(self, shape, dtype=None):
        return keras.random.normal(shape, stddev=shape[0] ** -0.5, seed=self.seed, dtype=dtype)

    def get_config(self):
        return {"seed": self.seed}


def fixed_callable(shape, dtype=None):
    return keras.random.normal(shape, stddev=shape[0] ** -0.5, seed=5, dtype=dtype)


def free_callable(shape, dtype=None):
    return keras.random.normal(shape, stddev=shape[0] ** -0.5, dtype=dtype)


CASES = [(name, std) for name, std in STD.items()]
CASES += [
    (lambda: initializers.GlorotUniform(seed=3), STD["glorot_uniform"]),
    (lambda: initializers.HeNormal(seed=keras.random.SeedGenerator(3)), STD["he_normal"]),
    (lambda: initializers.Orthogonal(gain=2.0, seed=3), 2 * STD["orthogonal"]),
    (lambda: initializers.VarianceScaling(0.1, "fan_in", seed=3), (0.1 / D) ** 0.5),
    (lambda: initializers.VarianceScaling(2.0, "fan_out", "uniform"), (2 / U) ** 0.5),
    (lambda: initializers.VarianceScaling(input_axes=[0], output_axes=[1]), D**-0.5),
    (lambda: initializers.RandomNormal(stddev=0.3, seed=3), 0.3),
    (lambda: initializers.TruncatedNormal(stddev=0.3, seed=3), 0.3 * 0.88),
    (Seeded, D**-0.5),
    (lambda: fixed_callable, D**-0.5),
    (lambda: free_callable, D**-0.5),
]


def values(weight: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(weight.value)


def kernels(layer: keras.layers.Layer) -> list[np.ndarray]:
    return [values(w) for w in layer.weights if w.path.endswith("kernel")]


def assert_distinct(slices: np.ndarray) -> None:
    flat = slices.reshape(len(slices), -1)
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 6 * flat.shape[1] ** -0.5, "two slices are related"


@pytest.mark.parametrize("seed", [None, 4])
@pytest.mark.parametrize(("make", "std"), CASES)
def test_slices_differ_and_have_the_variance_of_their_fan_in(make, std, seed):
    initializer = make() if callable(make) else make
    layer = TaskDense(N, U, kernel_initializer=initializer, seed=seed)
    layer.build((None, D))
    kernel = values(layer.kernel)  # (T, D, U)
    assert_distinct(kernel)
    np.testing.assert_allclose(kernel.std(axis=(1, 2)), std, rtol=0.06)
    assert np.abs(kernel.mean(axis=(1, 2))).max() < 0.1 * std


@pytest.mark.parametrize("make", [make for make, _ in CASES if callable(make)])
def test_kernels_of_a_layer_made_by_one_initializer_differ(make):
    layer = PLE(2, 3, 1, 1, (D, D), kernel_initializer=make())
    layer.build((None, D))
    stacks = [kernel for kernel in kernels(layer) if kernel.shape[-2:] == (D, D)]
    assert len(stacks) == 6
    assert_distinct(np.concatenate(stacks))


def test_orthogonal_slices_are_orthogonal():
    layer = Experts(3, 8, kernel_initializer=initializers.Orthogonal(seed=1))
    layer.build((None, 8))
    for kernel in kernels(layer)[0]:
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(8), atol=1e-5)


@pytest.mark.parametrize(
    ("initializer", "expected"),
    [("zeros", 0.0), ("ones", 1.0), (initializers.Constant(0.3), 0.3)],
)
def test_constants_stay_what_the_user_asked_for(initializer, expected):
    layer = TaskDense(3, 2, kernel_initializer=initializer)
    layer.build((None, 4))
    np.testing.assert_allclose(values(layer.kernel), expected)


def test_an_identity_stays_one():
    layer = TaskDense(3, 4, kernel_initializer="identity")
    layer.build((None, 4))
    np.testing.assert_array_equal(values(layer.kernel), np.stack([np.eye(4)] * 3))


@pytest.mark.parametrize("shape", [(4, 2), (3, 4, 2)])
def test_an_array_fills_each_slice_or_the_stack(shape):
    array = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    layer = TaskDense(3, 2, kernel_initializer=array)
    layer.build((None, 4))
    np.testing.assert_array_equal(values(layer.kernel), np.broadcast_to(array, (3, 4, 2)))


def test_biases_are_drawn_per_slice():
    layer = TaskDense(4, 50, bias_initializer=initializers.RandomNormal(seed=1))
    layer.build((None, 2))
    assert len({bias.tobytes() for bias in values(layer.bias)}) == 4


def test_a_convolution_kernel_counts_its_window_in_the_fan_in():
    initializer = StackedInitializer(get_initializer("he_normal"), 1, "kernel")
    stack = keras.ops.convert_to_numpy(initializer((4, 3, 3, 20, 30)))
    np.testing.assert_allclose(stack.std(axis=(1, 2, 3, 4)), (2 / 180) ** 0.5, rtol=0.05)


LAYERS = [
    lambda **kw: TaskDense(3, 4, **kw),
    lambda **kw: Experts(3, (4, 4), **kw),
    lambda **kw: MMoE(2, 3, (4, 4), gate_units=4, **kw),
    lambda **kw: CGC(2, 1, (1, 2), 4, **kw),
    lambda **kw: PLE(2, 2, 1, 1, 4, **kw),
    lambda **kw: Experts(
        3, expert=keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(4)]), **kw
    ),
]


def initial(make, **options) -> list[np.ndarray]:
    layer = make(**options)
    layer.build((None, 4))
    return kernels(layer)


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> list[bool]:
    return [bool(np.array_equal(a, b)) for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("make", LAYERS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(make):
    assert all(equal(initial(make, seed=1), initial(make, seed=1)))
    assert not any(equal(initial(make, seed=1), initial(make, seed=2)))
    assert not any(equal(initial(make), initial(make)))


@pytest.mark.parametrize("make", LAYERS)
def test_without_a_seed_the_global_one_decides(make):
    keras.utils.set_random_seed(3)
    first = initial(make)
    keras.utils.set_random_seed(3)
    assert all(equal(first, initial(make)))


@pytest.mark.parametrize("make", LAYERS[:-1])
def test_the_seed_of_an_initializer_serves_a_layer_without_one(make):
    seeded = {"kernel_initializer": initializers.GlorotUniform(seed=3)}
    assert all(equal(initial(make, **seeded), initial(make, **seeded)))
    other = {"kernel_initializer": initializers.GlorotUniform(seed=4)}
    assert not any(equal(initial(make, **seeded), initial(make, **other)))


def test_layers_that_share_a_seed_generator_differ():
    shared = initializers.GlorotUniform(seed=keras.random.SeedGenerator(3))
    make = LAYERS[0]
    assert not any(
        equal(initial(make, kernel_initializer=shared), initial(make, kernel_initializer=shared))
    )


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize(
    "make_seed", [lambda: 3, lambda: None, lambda: keras.random.SeedGenerator(3)]
)
def test_copies_of_an_expert_differ_in_every_weight(seed, make_seed):
    shared = initializers.GlorotUniform(seed=make_seed())
    dense = [keras.layers.Dense(30, kernel_initializer=shared) for _ in range(2)]
    layer = PLE(2, 2, 1, 1, expert=keras.Sequential(dense), seed=seed)
    layer.build((None, 30))
    stacks = [kernel for kernel in kernels(layer) if kernel.shape == (30, 30)]
    assert len(stacks) == 12  # 3 experts of 2 layers at 2 levels
    assert_distinct(np.stack(stacks))


def test_a_seed_depends_on_every_name_and_none_stays_none():
    assert derive_seed(None, "a") is None
    seeds = [derive_seed(1), derive_seed(1, "a"), derive_seed(1, "a", "b"), derive_seed(2, "a")]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(1, "a") == 1603193915  # on every machine, in every version
