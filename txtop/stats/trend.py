"""Drift of a series: Mann-Kendall for its significance, Theil-Sen for its size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

# Theil-Sen takes every pair: 20,000 slopes at most.
MAX_POINTS = 200


@dataclass(frozen=True)
class Trend:
    """The drift of a series, with `across` = slope x steps / median.

    `slope` is in units of the values per step, `p` is two-sided.
    """

    slope: float
    p: float
    across: float


def bin_values(values: Sequence[float], most: int) -> tuple[list[float], int]:
    """Return at most `most` means of equally many neighbours, and the number of values in each."""
    size = max(1, math.ceil(len(values) / most))
    if size == 1:
        return list(values), 1
    return [fmean(values[i : i + size]) for i in range(0, len(values), size)], size


def estimate_trend(values: Sequence[float]) -> Trend | None:
    """Return the trend by Mann-Kendall and Theil-Sen, or None for fewer than three values.

    p comes from the normal approximation, corrected for ties (Kendall 1975) and not for continuity.
    A series of more than `MAX_POINTS` values is reduced to means of neighbours first.
    """
    if len(values) < 3:
        return None
    x, size = bin_values(values, MAX_POINTS)
    n = len(x)
    slopes = [(x[j] - x[i]) / (j - i) for i in range(n) for j in range(i + 1, n)]
    score = sum(s > 0 for s in slopes) - sum(s < 0 for s in slopes)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(x).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    p = math.erfc(abs(score) / math.sqrt(2 * variance)) if variance > 0 else 1.0
    slope = median(slopes) / size
    centre = abs(median(x))
    return Trend(slope, p, slope * (len(values) - 1) / centre if centre else 0.0)
