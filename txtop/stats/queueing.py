"""Statistics of queues: intervals for correlated latencies, saturation, the knee of a load curve.

The rules are those of docs/serving.md, "Saturation, sweep, knee".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from txtop.stats.intervals import Interval, compute_student_t_interval
from txtop.stats.trend import estimate_trend

BATCH_COUNT = 10
MIN_PER_BATCH = 2
SATURATED_P = 0.01
# Seconds of additional wait per second of arrivals.
OVER_CAPACITY = 0.05


def compute_batch_means_interval(values: Sequence[float]) -> Interval | None:
    """Return Student's t interval of the mean from the means of ten batches of neighbours.

    Requests that meet in a queue are slow together, so treated as independent values they would
    give too narrow an interval (Conway 1963; Law and Kelton, "Simulation Modeling and Analysis",
    section 9.5.3). None for fewer than 20 values.
    """
    return compute_student_t_interval(compute_batch_means(values))


def compute_batch_means(values: Sequence[float]) -> list[float]:
    """Return the means of ten batches of neighbours; an empty list for fewer than 20 values."""
    n = len(values)
    if n < BATCH_COUNT * MIN_PER_BATCH:
        return []
    edges = [round(i * n / BATCH_COUNT) for i in range(BATCH_COUNT + 1)]
    return [fmean(values[a:b]) for a, b in pairwise(edges)]


def is_saturated(
    arrivals_s: Sequence[float], starts_s: Sequence[float], ends_s: Sequence[float], slots: int
) -> bool:
    """Return True if requests arrived faster than they were served, so that waits kept growing.

    In a server above its capacity c the wait grows by 1 - c / rate seconds a second. A server is
    saturated if all of these hold: this growth is over 5 % (Theil-Sen over all arrivals) and not by
    chance (Mann-Kendall, p < .01); more than two full batches of `slots` were open at the last
    arrival; the arrival rate was above the rate of answers while the server was busy. Element i of
    each sequence belongs to the i-th request by arrival.
    """
    n = len(arrivals_s)
    if n < 3 or arrivals_s[-1] <= arrivals_s[0]:
        return False
    waits = [start - arrival for arrival, start in zip(arrivals_s, starts_s, strict=True)]
    trend = estimate_trend(waits)
    if trend is None or trend.p >= SATURATED_P:
        return False
    rate = (n - 1) / (arrivals_s[-1] - arrivals_s[0])
    backlog = n - bisect_right(sorted(ends_s), arrivals_s[-1])
    over = rate > n / compute_busy_s(starts_s, ends_s)
    return over and trend.slope * rate > OVER_CAPACITY and backlog > 2 * slots


def compute_busy_s(starts: Sequence[float], ends: Sequence[float]) -> float:
    """Return the time in which anything was served: the length of the union of all spans."""
    total = reached = 0.0
    for start, end in sorted(zip(starts, ends, strict=True)):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def find_knee(rates: Sequence[float], latencies: Sequence[float]) -> int | None:
    """Return the index at which rate / latency is highest; None without points.

    This is the maximum of Kleinrock's power (1979), beyond which more load buys waiting and little
    throughput. It is None, too, if a latency is not positive.
    """
    power = [rate / latency for rate, latency in zip(rates, latencies, strict=True) if latency > 0]
    return power.index(max(power)) if power and len(power) == len(rates) else None
