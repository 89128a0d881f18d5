"""Intervals of a mean: Student's t, BCa bootstrap, and confidence sequences.

The table of docs/method.md, "Intervals", says which of them is used for what.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean

from txtop.stats import student_t as student

CONFIDENCE = 0.95
BOOTSTRAP_FROM = 30
RESAMPLES = 10_000
_NORMAL = NormalDist()
# The constant c of the mixture in `compute_anytime_t_half_width`.
_PRIOR = 0.03

Interval = tuple[float, float]


def compute_deviation(values: Sequence[float], mean: float) -> float:
    """Return the sample standard deviation of two or more `values` about their `mean`.

    Apart from `statistics.stdev`, whose exact fractions take ten times as long, in every frame.
    """
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def compute_student_t_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of the mean at 95 %, or None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean = fmean(values)
    half = (
        student.compute_quantile((1 + CONFIDENCE) / 2, n - 1)
        * compute_deviation(values, mean)
        / math.sqrt(n)
    )
    return mean - half, mean + half


def compute_bca_interval(values: Sequence[float], seed: int = 0) -> Interval | None:
    """Return the bias-corrected and accelerated 95 % bootstrap interval of the mean (Efron 1987).

    It uses 10,000 resamples from NumPy's legacy Mersenne Twister, whose stream NumPy promises not
    to change. Equal values give a point; fewer than two give None.
    """
    import numpy as np

    x = np.asarray(values, dtype=np.float64)
    n = x.size
    if n < 2:
        return None
    if np.all(x == x[0]):
        return float(x[0]), float(x[0])
    random = np.random.RandomState(seed)
    rows = max(1, 1_000_000 // n)
    means = np.concatenate(
        [
            x[random.randint(0, n, size=(min(rows, RESAMPLES - start), n))].mean(axis=1)
            for start in range(0, RESAMPLES, rows)
        ]
    )
    below = (
        np.count_nonzero(means < x.mean()) + 0.5 * np.count_nonzero(means == x.mean())
    ) / RESAMPLES
    z0 = _NORMAL.inv_cdf(min(max(below, 0.5 / RESAMPLES), 1 - 0.5 / RESAMPLES))
    leave_one_out = (x.sum() - x) / (n - 1)
    away = leave_one_out.mean() - leave_one_out
    spread = float((away**2).sum())
    a = float((away**3).sum()) / (6.0 * spread**1.5) if spread > 0 else 0.0

    def bound(p: float) -> float:
        z = z0 + _NORMAL.inv_cdf(p)
        return float(np.quantile(means, _NORMAL.cdf(z0 + z / (1 - a * z))))

    return bound((1 - CONFIDENCE) / 2), bound((1 + CONFIDENCE) / 2)


def compute_mean_interval(values: Sequence[float], seed: int = 0) -> Interval | None:
    """Return the interval to report: BCa from 30 values on, Student's t below."""
    return (
        compute_bca_interval(values, seed=seed)
        if len(values) >= BOOTSTRAP_FROM
        else compute_student_t_interval(values)
    )


def compute_anytime_half_width(n: int, deviation: float, alpha: float = 0.05) -> float:
    """Return the half-width of an asymptotic confidence sequence, valid at every look.

    `deviation` is the standard deviation of `n` values. Waudby-Smith et al. 2024, "Time-uniform
    central limit theory and asymptotic confidence sequences", tuned for n = 40; the formula is in
    docs/method.md, "Confidence sequence". Infinite for fewer than two values.
    """
    if n < 2:
        return math.inf
    r2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / 40
    inside = 2 * (n * r2 + 1) / (n * n * r2) * math.log(math.sqrt(n * r2 + 1) / alpha)
    return deviation * math.sqrt(inside)


def compute_anytime_t_half_width(n: int, deviation: float, alpha: float = 0.05) -> float:
    """Return the half-width of a confidence sequence for few values, exact if they are normal.

    Wang and Ramdas 2025, "Anytime-valid t-tests and confidence sequences for Gaussian means with
    unknown variance": the scale-invariant mixture, tuned for 3 to 10 values; the formula is in
    docs/method.md, "Confidence sequence". Wider than `compute_anytime_half_width` at any n.
    Infinite for fewer than three values.
    """
    if n < 3:
        return math.inf
    weight = n + _PRIOR
    k = weight * (1 - (_PRIOR * alpha * alpha / weight) ** (1 / n))
    return deviation * math.sqrt(k * (n - 1) / ((n - k) * n)) if k < n else math.inf
