"""95 % intervals of a mean: Student's t, BCa bootstrap, and one that may be looked at always."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean

from txtop.stats import student_t as student

BOOTSTRAP_FROM = 30
RESAMPLES = 10_000
_NORMAL = NormalDist()
_PRIOR = 0.03

Interval = tuple[float, float]


def compute_deviation(values: Sequence[float], mean: float) -> float:
    """The sample's standard deviation; the exact fractions of `statistics.stdev` cost ten times as
    much, in every frame."""
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def compute_student_t_interval(
    values: Sequence[float], confidence: float = 0.95
) -> Interval | None:
    """Student's t interval of the mean; null under two values."""
    n = len(values)
    if n < 2:
        return None
    mean = fmean(values)
    half = (
        student.compute_quantile((1 + confidence) / 2, n - 1)
        * compute_deviation(values, mean)
        / math.sqrt(n)
    )
    return mean - half, mean + half


def compute_bca_interval(
    values: Sequence[float], confidence: float = 0.95, seed: int = 0
) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987).

    10,000 resamples from a legacy Mersenne Twister, whose stream numpy promises not to change.
    Null under two values; the point itself where all are equal.
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

    return bound((1 - confidence) / 2), bound((1 + confidence) / 2)


def compute_mean_interval(values: Sequence[float], seed: int = 0) -> Interval | None:
    """The interval that is reported: BCa from 30 values on, Student's t below."""
    return (
        compute_bca_interval(values, seed=seed)
        if len(values) >= BOOTSTRAP_FROM
        else compute_student_t_interval(values)
    )


def compute_anytime_half_width(n: int, deviation: float, alpha: float = 0.05) -> float:
    """Half-width of an asymptotic confidence sequence: valid however often one looks.

    Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence sequences";
    the parameter is tuned for n = 40. Infinite under two values.
    """
    if n < 2:
        return math.inf
    r2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / 40
    inside = 2 * (n * r2 + 1) / (n * n * r2) * math.log(math.sqrt(n * r2 + 1) / alpha)
    return deviation * math.sqrt(inside)


def compute_anytime_t_half_width(n: int, deviation: float, alpha: float = 0.05) -> float:
    """Half-width of a confidence sequence that holds from the first values on, if they are normal.

    Wang and Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown
    variance": the scale-invariant mixture, tuned for 3 to 10 values. Wider than
    `compute_anytime_half_width` at any n. Infinite under three values.
    """
    if n < 3:
        return math.inf
    known = n + _PRIOR
    kept = known * (1 - (_PRIOR * alpha * alpha / known) ** (1 / n))
    return deviation * math.sqrt(kept * (n - 1) / ((n - kept) * n)) if kept < n else math.inf
