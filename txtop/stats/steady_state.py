"""Find the steady part of a measured series, and judge if it is steady.

The rules are those of docs/method.md, "Warm-up and steady state".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

from txtop.formatting import format_count
from txtop.stats.trend import bin_values, estimate_trend

RELEVANT_CHANGE = 0.01
SIGNIFICANCE = 0.01
# A cell that runs is looked at many times, and each look is a chance to be wrong.
LIVE_SIGNIFICANCE = 0.001
MIN_VERDICT = 10
MIN_KEPT = 3
MIN_SEGMENT = 2
# The exact optimum takes n squared steps; a longer series is cut in means of neighbours.
MAX_POINTS = 400
BATCH = 5
# A relevant change is ten times this. A quieter series counts as this noisy, or it would be cut at
# changes that matter to nobody.
MIN_NOISE = RELEVANT_CHANGE / 10


@dataclass(frozen=True)
class SteadyState:
    """The verdict on a series of `n` values.

    `start` is the index of the first kept value, `steady` is None for fewer than ten kept values.
    `drift` is the change of the speed across the kept values where they are not steady, as a share
    of its median.
    """

    n: int
    start: int = 0
    steady: bool | None = None
    notes: tuple[str, ...] = ()
    drift: float | None = None


def estimate_noise(series: Sequence[float]) -> float:
    """Return a standard deviation that ignores steps: from the median absolute difference."""
    steps = [abs(b - a) for a, b in pairwise(series)]
    return 1.4826 * median(steps) / math.sqrt(2) if steps else 0.0


def compute_penalty(n: int) -> float:
    """Return the gain, in squared standard deviations, that a changepoint must bring.

    It is three times BIC's ln n, and more in a short series, whose noise is estimated badly. Chosen
    so that white noise, normal or lognormal, is cut in at most a few of a hundred series.
    """
    return 3 * math.log(n) * (1 + 12 / n)


def find_changepoints(series: Sequence[float], cost: float) -> list[int]:
    """Return the index of the first value of every segment but the first.

    This is the exact optimum of squared error + `cost` per changepoint, with segments of at least
    `MIN_SEGMENT` values: optimal partitioning (Jackson et al. 2005).
    """
    n = len(series)
    sums, squares = [0.0], [0.0]
    for v in series:
        sums.append(sums[-1] + v)
        squares.append(squares[-1] + v * v)
    best = [-cost] + [math.inf] * n
    last = [0] * (n + 1)
    for end in range(MIN_SEGMENT, n + 1):
        best[end], last[end] = min(
            (best[s] + squares[end] - squares[s] - (sums[end] - sums[s]) ** 2 / (end - s) + cost, s)
            for s in range(end - MIN_SEGMENT + 1)
        )
    places: list[int] = []
    at = last[n]
    while at > 0:
        places.append(at)
        at = last[at]
    return places[::-1]


def find_start(values: Sequence[float]) -> int:
    """Return the number of leading values to drop: segments not at the level of the longest one.

    Values are positive. Levels are means of logarithms and differ from 1 % on. Only a minority is
    ever dropped and three values are kept, so that neither outliers nor a late change discard the
    data.
    """
    if len(values) < 2 * MIN_KEPT:
        return 0
    points, size = bin_values([math.log(v) for v in values], MAX_POINTS)
    centre, scale = median(points), max(estimate_noise(points), MIN_NOISE)
    scaled = [(v - centre) / scale for v in points]
    edges = [0, *find_changepoints(scaled, compute_penalty(len(scaled))), len(points)]
    segments = list(pairwise(edges))
    low, high = max(segments, key=lambda s: (s[1] - s[0], s[0]))
    level = fmean(points[low:high])
    start = 0
    for low, high in segments:
        if 2 * high >= len(points) or len(values) - high * size < MIN_KEPT:
            break
        if abs(math.expm1(fmean(points[low:high]) - level)) <= RELEVANT_CHANGE:
            break
        start = high * size
    return start


def compute_mser5_start(values: Sequence[float]) -> int:
    """Return the leading values to drop for the smallest standard error (MSER-5, White 1997).

    Batches are of five; at most half of them are dropped.
    """
    batches = [fmean(values[i : i + BATCH]) for i in range(0, len(values) - BATCH + 1, BATCH)]
    total, squares, best, cut = 0.0, 0.0, math.inf, 0
    centre = median(batches) if batches else 0.0
    for at in range(len(batches) - 1, -1, -1):
        total += batches[at] - centre
        squares += (batches[at] - centre) ** 2
        n = len(batches) - at
        error = max(0.0, squares - total * total / n) / n**2
        if at <= len(batches) // 2 and error <= best:
            best, cut = error, at
    return cut * BATCH


def is_drifting(values: Sequence[float], significance: float = SIGNIFICANCE) -> bool:
    """Return True if positive `values` change by over 1 % across them at p < `significance`."""
    trend = estimate_trend(values)
    return trend is not None and trend.p < significance and abs(trend.across) > RELEVANT_CHANGE


DRIFTED_NOTE = "speed drifted; no interval"


def judge_series(values: Sequence[float], start: int | None = None) -> SteadyState:
    """Return the verdict on the durations of measured iterations, positive and in order.

    They may be in any unit. `start` is the index at which the steady part begins; None finds it.
    """
    start = find_start(values) if start is None else start
    kept = values[start:]
    notes = []
    if start:
        notes.append(f"{format_count(start, 'more iteration')} dropped as warm-up")
    steady = None if len(kept) < MIN_VERDICT else not is_drifting(kept)
    if steady is False:
        notes.append(DRIFTED_NOTE)
    mser = compute_mser5_start(values)
    if steady and mser > start and _means_differ(values[start:mser], values[mser:]):
        notes.append(f"a stricter test (MSER-5) would drop {mser} iterations")
    drift = estimate_speed_drift(kept) if steady is False else None
    return SteadyState(len(values), start, steady, tuple(notes), drift)


def estimate_speed_drift(durations: Sequence[float]) -> float:
    """Return the change of the speed across positive durations, as a share of its median."""
    trend = estimate_trend([1 / duration for duration in durations])
    return trend.across if trend is not None else 0.0


def _means_differ(before: Sequence[float], after: Sequence[float]) -> bool:
    """Return True if two means differ by over 1 % and by over three standard errors."""
    if len(before) < 2 or len(after) < 2:
        return False
    a, b = fmean(before), fmean(after)
    error = math.sqrt(stdev(before) ** 2 / len(before) + stdev(after) ** 2 / len(after))
    return abs(a - b) > max(RELEVANT_CHANGE * b, 3 * error)
