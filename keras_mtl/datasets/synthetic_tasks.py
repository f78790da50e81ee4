"""The MMoE paper's regression tasks, whose relatedness is a number that one chooses."""

from dataclasses import dataclass

import numpy as np

from keras_mtl.checks import check_integer, check_number, check_positive
from keras_mtl.datasets.dataset import Dataset, Split


def load(
    num_tasks: int = 2,
    correlation: float = 0.5,
    num_train: int = 20_000,
    num_valid: int = 5_000,
    num_test: int = 5_000,
    num_features: int = 512,
    num_sines: int = 10,
    scale: float = 1.0,
    noise: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Draws regression tasks whose weight vectors have a chosen cosine.

    `y_t = w_t . x + sum_i sin(alpha_i w_t . x + beta_i) + e_t`

    for task `t` and rows `x ~ N(0, I)` of `D` features, with `e_t ~ N(0, noise^2)` of its own.
    `alpha_i, beta_i ~ N(0, 1)`, i = 1 .. `num_sines`, are shared by all tasks. The weight vectors
    have length `scale` and pairwise cosine `correlation = p`:

    `w_t = scale (a u_t + b (u_1 + ... + u_T))`

    with `a = sqrt(1 - p)`, `b = (sqrt(1 - p + T p) - a) / T`, and `u_1 .. u_T` orthonormal, drawn
    at random: the square root of the matrix of cosines, times the `u`. The same seed gives the
    same `u, alpha, beta, x, e` whatever the correlation, and the same tasks whatever the number
    of rows.

    Args:
        num_tasks: Integer `T`. Tasks are named `task_0`, `task_1`, ...
        correlation: Cosine of the weight vectors of any two tasks, in [-1 / (T - 1), 1].
        num_train: Rows to train on.
        num_valid: Rows to choose by.
        num_test: Rows to report on.
        num_features: Integer `D` of at least `T`.
        num_sines: Number of sines, 0 for linear tasks.
        scale: Length of the weight vectors, `c` in the paper.
        noise: Standard deviation of the noise.
        seed: Integer of at least 0.

    Output shape:
        A `Dataset` whose splits hold one column `features`, `(B, D)` float32, and labels
        `(B,)` float32.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> data = load(num_tasks=3, correlation=0.9, num_train=100, num_features=8)
    >>> data.train.columns["features"].shape, sorted(data.train.labels)
    ((100, 8), ['task_0', 'task_1', 'task_2'])

    Reference:
        Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
        Mixture-of-Experts", KDD 2018, section 3.2, equations 2 to 4, and Tang et al.,
        "Progressive Layered Extraction (PLE)", RecSys 2020, section 5.2.1, whose `alpha, beta`,
        `c = 1`, 10 sines and 512 features are the defaults (but not its 1.4 million rows).
        Departures: the first has two tasks with `w_1 = c u_1, w_2 = c (p u_1 + sqrt(1 - p^2) u_2)`;
        the weights here have the same lengths and cosine, hence the same distribution, for any
        number of tasks. Its noise N(0, 0.01) is read as a variance: a standard deviation of 0.1.
    """
    sizes = {"num_train": num_train, "num_valid": num_valid, "num_test": num_test}
    for name, size in sizes.items():
        check_positive(name, size)
    if check_number("noise", noise) < 0:
        raise ValueError(f"Argument `noise` must be at least 0. Received: noise={noise!r}")
    streams = np.random.SeedSequence(check_integer("seed", seed, minimum=0)).spawn(4)
    first, *others = map(np.random.default_rng, streams)
    tasks = draw_tasks(first, num_tasks, correlation, num_features, num_sines, scale)
    train, valid, test = (
        draw_rows(rng, tasks, size, noise) for rng, size in zip(others, sizes.values(), strict=True)
    )
    return Dataset(train, valid, test)


@dataclass(frozen=True)
class SyntheticTasks:
    """What the tasks are, before any row is drawn.

    Attributes:
        weights: `w`, (T, D).
        frequencies: `alpha`, (m,).
        phases: `beta`, (m,).
    """

    weights: np.ndarray
    frequencies: np.ndarray
    phases: np.ndarray

    def targets(self, x: np.ndarray) -> np.ndarray:
        """Noiseless labels (B, T) of features (B, D)."""
        linear = x @ self.weights.T  # (B, T)
        waves = np.sin(linear[..., None] * self.frequencies + self.phases)  # (B, T, m)
        return linear + waves.sum(axis=-1)  # (B, T)


def draw_tasks(
    rng: np.random.Generator,
    num_tasks: int,
    correlation: float,
    num_features: int,
    num_sines: int,
    scale: float,
) -> SyntheticTasks:
    """Weight vectors with the chosen cosine, and the sines that all tasks share."""
    check_positive("num_tasks", num_tasks)
    check_integer("num_features", num_features, minimum=num_tasks)
    check_integer("num_sines", num_sines, minimum=0)
    lowest = -1 / (num_tasks - 1) if num_tasks > 1 else -1.0
    if not lowest <= check_number("correlation", correlation) <= 1:
        raise ValueError(
            f"Argument `correlation` must be in [-1 / (num_tasks - 1), 1]. "
            f"Received: correlation={correlation!r}, num_tasks={num_tasks}"
        )
    if not check_number("scale", scale) > 0:
        raise ValueError(f"Argument `scale` must be positive. Received: scale={scale!r}")
    directions = np.linalg.qr(rng.normal(size=(num_features, num_tasks)))[0].T  # (T, D)
    own = np.sqrt(1 - correlation)
    common = (np.sqrt(max(1 - correlation + num_tasks * correlation, 0)) - own) / num_tasks
    weights = scale * (own * directions + common * directions.sum(axis=0))  # (T, D)
    return SyntheticTasks(weights, rng.normal(size=num_sines), rng.normal(size=num_sines))


def draw_rows(
    rng: np.random.Generator, tasks: SyntheticTasks, num_rows: int, noise: float
) -> Split:
    """Features and noisy labels of `num_rows` rows."""
    num_tasks, num_features = tasks.weights.shape
    x = rng.standard_normal((num_rows, num_features), np.float32)  # (B, D)
    errors = noise * rng.standard_normal((num_rows, num_tasks))  # (B, T)
    labels = (tasks.targets(x) + errors).astype(np.float32)  # (B, T)
    names = (f"task_{task}" for task in range(num_tasks))
    return Split({"features": x}, dict(zip(names, labels.T.copy(), strict=True)))
