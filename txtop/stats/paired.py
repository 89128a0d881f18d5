"""The ratio of two quantities that were measured in pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from txtop.stats.intervals import Interval, compute_mean_interval


@dataclass(frozen=True)
class PairedRatio:
    """A `ratio` = exp(mean d) of pairs, with its 95 % interval."""

    ratio: float
    ci95: Interval

    @property
    def half_width(self) -> float:
        """Half the width of the interval as a share of the ratio."""
        low, high = self.ci95
        return (high - low) / 2 / self.ratio


def compute_paired_ratio(over: Sequence[float], under: Sequence[float]) -> PairedRatio | None:
    """Return the ratio of `over` to `under`, both positive, or None for fewer than two pairs.

    d_i = ln(over_i / under_i); ratio = exp(mean d). The interval is that of the mean of d, its ends
    exponentiated: Student's t below 30 pairs, BCa bootstrap from 30 on. Drift that both values of a
    pair share cancels in d_i. Raises `ValueError` if the lengths differ.
    """
    logs = [math.log(a / b) for a, b in zip(over, under, strict=True)]
    interval = compute_mean_interval(logs)
    if interval is None:
        return None
    low, high = interval
    return PairedRatio(math.exp(fmean(logs)), (math.exp(low), math.exp(high)))
