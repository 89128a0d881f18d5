"""Quantiles of Student's t, computed here so that light commands import neither SciPy nor NumPy."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

MAX_STEPS = 100


def _compute_beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function.

    Lentz's method (Numerical Recipes, 6.4).
    """
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    h = d
    for m in range(1, 400):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + numerator / c
            c = c if abs(c) > tiny else tiny
            h *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return h


def _compute_upper_tail(t: float, df: float) -> float:
    """Return P(T > t) for t >= 0."""
    x = df / (df + t * t)
    a, b = df / 2.0, 0.5
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
        if 0.0 < x < 1.0
        else -math.inf
    )
    if x >= 1.0:
        return 0.5
    if x < (a + 1.0) / (a + b + 2.0):
        return 0.5 * front * _compute_beta_fraction(a, b, x) / a
    return 0.5 * (1.0 - front * _compute_beta_fraction(b, a, 1.0 - x) / b)


@lru_cache(maxsize=4096)
def compute_quantile(p: float, df: float) -> float:
    """Return the p-quantile of Student's t with `df` degrees of freedom, 0.5 <= p < 1, df >= 1.

    Newton's method from the first terms of the Cornish-Fisher expansion (Abramowitz and Stegun,
    26.7.5): the tail is convex, so that no step from below overshoots. Raises `ValueError` for
    arguments out of range.
    """
    if not 0.5 <= p < 1.0 or df < 1.0:
        raise ValueError(f"no quantile for p={p}, df={df}")
    z = NormalDist().inv_cdf(p)
    t = z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    for _ in range(MAX_STEPS):
        density = math.exp(scale - (df + 1) / 2 * math.log1p(t * t / df))
        step = (_compute_upper_tail(t, df) - (1.0 - p)) / density
        t += step
        if abs(step) <= 1e-14 * max(1.0, t):
            break
    return t
