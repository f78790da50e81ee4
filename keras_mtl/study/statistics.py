"""Means, spreads and t-intervals over seeds; in NumPy alone."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Mean over seeds with the half width of its 95 % interval; NaN where one seed says nothing."""

    count: int
    mean: float
    deviation: float
    half_width: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval."""
        return self.mean - self.half_width, self.mean + self.half_width


def summarize(values: Sequence[float], confidence: float = 0.95) -> Summary:
    """Mean, standard deviation and t-interval of the mean.

    `mean +- t(n - 1) s / sqrt(n)` with `s` the standard deviation with n - 1 in its denominator.

    Args:
        values: one figure a seed.
        confidence: probability that the interval covers the true mean.

    Raises:
        ValueError: without any value.

    Example:
        >>> summary = summarize([1.0, 2.0, 3.0])
        >>> round(summary.mean, 3), round(summary.deviation, 3), round(summary.half_width, 3)
        (2.0, 1.0, 2.484)
    """
    count = len(values)
    if not count:
        raise ValueError("Argument `values` must hold at least one value. Received: values=[]")
    mean = float(np.mean(values))
    if count == 1:
        return Summary(1, mean, math.nan, math.nan)
    deviation = float(np.std(values, ddof=1))
    half_width = t_quantile(count - 1, 0.5 + confidence / 2) * deviation / math.sqrt(count)
    return Summary(count, mean, deviation, half_width)


def paired_difference(
    values: dict[int, float], baseline: dict[int, float], confidence: float = 0.95
) -> Summary:
    """Summary of `values[seed] - baseline[seed]` over the seeds that both have.

    Pairing removes what a seed does to both sides (its data, its order of batches), so the
    interval is that of the difference itself and not of two independent means.

    Example:
        >>> paired_difference({0: 3.0, 1: 5.0}, {0: 1.0, 1: 4.0, 2: 9.0}).mean
        1.5
    """
    seeds = sorted(values.keys() & baseline.keys())
    if not seeds:
        raise ValueError(
            "Arguments `values` and `baseline` must share a seed. "
            f"Received: seeds {sorted(values)} and {sorted(baseline)}"
        )
    return summarize([values[seed] - baseline[seed] for seed in seeds], confidence)


@functools.cache
def t_quantile(degrees: int, probability: float) -> float:
    """Quantile of Student's t distribution, for probabilities above one half.

    Example:
        >>> round(t_quantile(4, 0.975), 4)
        2.7764
    """
    low, high = 0.0, 1.0
    while t_probability(degrees, high) < probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        if t_probability(degrees, middle) < probability:
            low = middle
        else:
            high = middle
    return high


def t_probability(degrees: int, value: float, points: int = 2001) -> float:
    """P(t <= value) for a value of at least 0.

    With t = sqrt(n) tan(a) the density becomes cos(a)^(n - 1) on a bounded range, so a fixed grid
    is exact to 1e-10 however heavy the tails are.
    """
    angles = np.linspace(0.0, math.atan(value / math.sqrt(degrees)), points)
    weights = np.ones(points)
    weights[1:-1:2], weights[2:-1:2] = 4.0, 2.0  # Simpson's rule
    area = float(weights @ np.cos(angles) ** (degrees - 1)) * (angles[1] - angles[0]) / 3
    log_constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    return 0.5 + math.exp(log_constant) / math.sqrt(math.pi) * area
