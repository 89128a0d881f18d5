"""Whether a series drifts: Mann-Kendall for the doubt, Theil-Sen for the size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

MAX_POINTS = 200


@dataclass(frozen=True)
class Trend:
    """`slope` in units of the values a step, `p` two-sided, `across` = slope x steps / median."""

    slope: float
    p: float
    across: float


def bin_values(values: Sequence[float], most: int) -> tuple[list[float], int]:
    """At most `most` means of equally many neighbours, and how many make one of them."""
    size = max(1, math.ceil(len(values) / most))
    if size == 1:
        return list(values), 1
    return [fmean(values[i : i + size]) for i in range(0, len(values), size)], size


def estimate_trend(values: Sequence[float], most: int = MAX_POINTS) -> Trend | None:
    """Mann-Kendall (Kendall 1975, with its correction for ties) and Theil-Sen; null under three.

    p comes from the normal approximation without correction for continuity. A series of more
    than `most` values is looked at in means of neighbours.
    """
    if len(values) < 3:
        return None
    x, size = bin_values(values, most)
    n = len(x)
    slopes = [(x[j] - x[i]) / (j - i) for i in range(n) for j in range(i + 1, n)]
    score = sum(s > 0 for s in slopes) - sum(s < 0 for s in slopes)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(x).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    p = math.erfc(abs(score) / math.sqrt(2 * variance)) if variance > 0 else 1.0
    slope = median(slopes) / size
    centre = abs(median(x))
    return Trend(slope, p, slope * (len(values) - 1) / centre if centre else 0.0)
