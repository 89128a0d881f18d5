"""The log of the cost of one candidate over that of another, from blocks that both have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from txtop.stats.intervals import Interval, compute_deviation


@dataclass(frozen=True)
class LogRatio:
    """The log of the cost of one candidate over that of another after `n` blocks.

    Positive: the first costs more. The interval holds at every look, None for too few blocks.
    """

    n: int
    mean: float
    interval: Interval | None


def compute_log_ratio(
    logs: Sequence[float], half_width: Callable[[int, float, float], float], alpha: float
) -> LogRatio:
    """Compute the mean of `logs`, one of each block, and its interval by `half_width`."""
    n = len(logs)
    if n < 2:
        return LogRatio(n, logs[0] if logs else 0.0, None)
    mean = fmean(logs)
    half = half_width(n, compute_deviation(logs, mean), alpha)
    return LogRatio(n, mean, (mean - half, mean + half) if math.isfinite(half) else None)
