"""What is known of queues: intervals for values that depend on each other, saturation, the knee."""

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
OVER_CAPACITY = 0.05


def compute_batch_means_interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval of the mean from the means of ten batches of neighbours.

    Requests that meet in a queue are slow together, so as single values they would promise too
    much (Conway 1963; Law and Kelton, "Simulation Modeling and Analysis", section 9.5.3). Null
    under 20 values.
    """
    return compute_student_t_interval(compute_batch_means(values))


def compute_batch_means(values: Sequence[float]) -> list[float]:
    """The means of ten batches of neighbours; none under 20 values."""
    n = len(values)
    if n < BATCH_COUNT * MIN_PER_BATCH:
        return []
    edges = [round(i * n / BATCH_COUNT) for i in range(BATCH_COUNT + 1)]
    return [fmean(values[a:b]) for a, b in pairwise(edges)]


def is_saturated(
    arrivals_s: Sequence[float], starts_s: Sequence[float], ends_s: Sequence[float], slots: int
) -> bool:
    """Whether requests came faster than they were served: each waited longer than the one before.

    In a server over its capacity c the wait grows by 1 - c / rate seconds a second. Where that is
    over 5 %, by Theil-Sen over all arrivals and not by chance (Mann-Kendall, p < .01), more than
    two full batches were open when the last request came, and more came a second than it answered
    while it was busy, it is saturated. Rows are requests in the order of their arrival.
    """
    n = len(arrivals_s)
    if n < 3 or arrivals_s[-1] <= arrivals_s[0]:
        return False
    waits = [start - arrival for arrival, start in zip(arrivals_s, starts_s, strict=True)]
    found = estimate_trend(waits)
    if found is None or found.p >= SATURATED_P:
        return False
    rate = (n - 1) / (arrivals_s[-1] - arrivals_s[0])
    backlog = n - bisect_right(sorted(ends_s), arrivals_s[-1])
    over = rate > n / compute_busy_s(starts_s, ends_s)
    return over and found.slope * rate > OVER_CAPACITY and backlog > 2 * slots


def compute_busy_s(starts: Sequence[float], ends: Sequence[float]) -> float:
    """How long anything was served: the union of the spans from start to end."""
    total = reached = 0.0
    for start, end in sorted(zip(starts, ends, strict=True)):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def compute_md1_wait_s(service_s: float, load: float) -> float:
    """Mean time in the queue of an M/D/1 server (Pollaczek-Khinchine): load x service / 2 (1 -
    load). The check of txtop's own server against theory."""
    return load * service_s / (2 * (1 - load))


def find_knee(rates: Sequence[float], latencies: Sequence[float]) -> int | None:
    """The place where throughput over latency is highest: Kleinrock's power (1979), the point
    beyond which more load buys waiting and little else. Null without points."""
    power = [rate / latency for rate, latency in zip(rates, latencies, strict=True) if latency > 0]
    return power.index(max(power)) if power and len(power) == len(rates) else None
