"""Two things measured side by side, pair by pair: the ratio of one to the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from txtop.stats.intervals import Interval, compute_mean_interval


@dataclass(frozen=True)
class PairedRatio:
    """`ratio` = exp(mean d) over `n` pairs and its 95 % interval, both without unit."""

    n: int
    ratio: float
    ci95: Interval

    @property
    def half_width(self) -> float:
        """Half the length of the interval as a share of the ratio."""
        low, high = self.ci95
        return (high - low) / 2 / self.ratio


def compute_paired_ratio(over: Sequence[float], under: Sequence[float]) -> PairedRatio | None:
    """The ratio of positive `over` to positive `under`, pair by pair; null under two pairs.

    d_i = ln(over_i / under_i); ratio = exp(mean d); the interval is that of the mean of d, its
    ends exponentiated: Student's t below 30 pairs, BCa bootstrap from 30 on. Drift that a pair
    shares cancels in d_i. Raises `ValueError` where the two differ in length.
    """
    logs = [math.log(a / b) for a, b in zip(over, under, strict=True)]
    interval = compute_mean_interval(logs)
    if interval is None:
        return None
    low, high = interval
    return PairedRatio(len(logs), math.exp(fmean(logs)), (math.exp(low), math.exp(high)))
