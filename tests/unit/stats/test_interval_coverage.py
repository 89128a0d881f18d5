"""The share of 4,000 sessions whose reported 95 % interval of a mean contains the true mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from txtop.stats import intervals

SESSIONS = 4_000
Floats = NDArray[np.float64]
TRUE_MEAN = {"normal": 100.0, "lognormal": math.exp(0.3**2 / 2)}


def sessions(kind: str, n: int, many: int = SESSIONS) -> Floats:
    random = np.random.RandomState(n)
    if kind == "normal":
        return random.normal(100, 5, (many, n))
    return random.lognormal(0, 0.3, (many, n))


def students(x: Floats) -> tuple[Floats, Floats]:
    half = scipy.stats.t.ppf(0.975, x.shape[1] - 1) * scipy.stats.sem(x, axis=1)
    return x.mean(1) - half, x.mean(1) + half


def bcas(x: Floats, resamples: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Compute `intervals.compute_bca_interval` of every row at once: the same draws of places serve
    all sessions.
    """
    n = x.shape[1]
    places = np.random.RandomState(seed).randint(0, n, size=(resamples, n))
    weights = np.zeros((resamples, n))
    np.add.at(weights, (np.arange(resamples)[:, None], places), 1 / n)
    means = np.sort(x @ weights.T, axis=1)
    below = (means < x.mean(1, keepdims=True)).mean(1)
    z0 = scipy.stats.norm.ppf(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    away = x - x.mean(1, keepdims=True)
    a = (away**3).sum(1) / (6 * (away**2).sum(1) ** 1.5)

    def bound(p: float) -> Floats:
        z = z0 + scipy.stats.norm.ppf(p)
        place = scipy.stats.norm.cdf(z0 + z / (1 - a * z)) * (resamples - 1)
        low = np.floor(place).astype(int)
        high, rows = np.minimum(low + 1, resamples - 1), np.arange(len(x))
        return means[rows, low] + (means[rows, high] - means[rows, low]) * (place - low)

    return bound(0.025), bound(0.975)


def coverage(kind: str, low: Floats, high: Floats) -> float:
    return float(((low <= TRUE_MEAN[kind]) & (TRUE_MEAN[kind] <= high)).mean())


@pytest.mark.parametrize("kind", list(TRUE_MEAN))
@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_interval_holds_the_mean_in_91_to_97_of_100_sessions(kind: str, n: int) -> None:
    x = sessions(kind, n)
    ends = students(x) if n < intervals.BOOTSTRAP_FROM else bcas(x, 1_000)
    assert 0.91 <= coverage(kind, *ends) <= 0.97


@pytest.mark.parametrize("kind", list(TRUE_MEAN))
@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_fast_form_is_the_reported_interval(kind: str, n: int) -> None:
    x = sessions(kind, n, 6)
    ends = students(x) if n < intervals.BOOTSTRAP_FROM else bcas(x, intervals.RESAMPLES)
    tolerance = 1e-9 if n < intervals.BOOTSTRAP_FROM else 1e-6
    for row, low, high in zip(x, *ends, strict=True):
        assert intervals.compute_mean_interval(list(row)) == pytest.approx(
            (low, high), rel=tolerance
        )


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(TRUE_MEAN))
@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_reported_interval_itself_holds_the_mean(kind: str, n: int) -> None:
    bounds = np.array([intervals.compute_mean_interval(list(row)) for row in sessions(kind, n)])
    assert 0.91 <= coverage(kind, bounds[:, 0], bounds[:, 1]) <= 0.97
