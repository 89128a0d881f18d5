"""The summary of one metric of one cell: its figures, and notes on those that are withheld.

Floors and bands are those of docs/method.md, "Percentiles".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import Literal

import msgspec

from txtop.formatting import format_count, format_few
from txtop.stats import intervals
from txtop.stats.sequential import FIRST_LOOK_STARTS

# Smallest n at which, with 99 % confidence, at least two samples lie beyond the percentile.
PERCENTILE_FLOORS = {50: 11, 75: 24, 90: 64, 95: 130, 99: 662}
REPORTED_PERCENTILES = (50, 90, 95, 99)
FEW_SAMPLES = 10
# A modified Z, close to the 14.826 of hyperfine: ten standard deviations of normal noise.
OUTLIER_Z = 14.8

TOO_FEW_NOTE = "no interval: too few for how they vary"

VariationBand = Literal["excellent", "good", "fair", "unstable", "too few to judge"]
# The coefficient of variation from which on a figure says so.
FAIR_FROM = 0.10


class Summary(msgspec.Struct, kw_only=True):
    """One metric as it is exported, in `unit`. A figure is None where `notes` give the reason."""

    unit: str
    n: int
    mean: float | None = None
    median: float | None = None
    stdev: float | None = None
    mad: float | None = None
    min: float | None = None
    max: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    ci95: tuple[float, float] | None = None
    notes: list[str] = []


def compute_percentile(ordered: Sequence[float], p: float) -> float:
    """Interpolate linearly between order statistics.

    Hyndman and Fan 1996, type 7, which is NumPy's default.
    """
    place = (len(ordered) - 1) * p / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def compute_percentile_floor(share: float) -> int:
    """Return the smallest n for a percentile, as a `share` of 1, by the rule of the table above."""
    n = 2
    while share**n + n * share ** (n - 1) * (1 - share) > 0.01:
        n += 1
    return n


def compute_percentile_above_floor(ordered: Sequence[float], n: int, p: int) -> float | None:
    """Return the percentile, or None if `n` iterations are below its floor."""
    return compute_percentile(ordered, p) if ordered and n >= PERCENTILE_FLOORS[p] else None


def compute_relative_half_width(
    mean: float | None, ci95: tuple[float, float] | None
) -> float | None:
    """Return half the width of the interval as a share of the mean; None if either is missing."""
    return (ci95[1] - ci95[0]) / 2 / mean if ci95 is not None and mean else None


def classify_variation(cv: float, n: int) -> VariationBand:
    """Return the band of a coefficient of variation, given as a share, of `n` iterations.

    Few have none: of three, the true deviation may be six times as large.
    """
    if n < FEW_SAMPLES:
        return "too few to judge"
    if cv < 0.05:
        return "excellent"
    if cv < FAIR_FROM:
        return "good"
    return "fair" if cv < 0.20 else "unstable"


def find_outliers(values: Sequence[float]) -> list[int]:
    """Return the indices of values with a modified Z over 14.8 (Iglewicz and Hoaglin 1993)."""
    if not values:
        return []
    centre = median(values)
    mad = median([abs(v - centre) for v in values])
    far = OUTLIER_Z * mad / 0.6745
    return [i for i, v in enumerate(values) if abs(v - centre) > far] if mad > 0 else []


def count_outliers(values: Sequence[float]) -> int:
    """Return the number of outliers. They are counted and marked, never dropped."""
    return len(find_outliers(values))


def summarise(
    values: Sequence[float],
    unit: str,
    *,
    per_iteration: Sequence[float] | None = None,
    rate: bool = False,
    seed: int = 0,
    starts: Sequence[Sequence[float]] | None = None,
) -> Summary:
    """Return the summary of finite `values`; n counts iterations.

    The mean of a `rate` is all work over all time, which for equal pieces of work is the harmonic
    mean; the arithmetic mean of rates would be too high the more they vary. Its interval is that of
    the mean time, inverted, and None where that would reach zero.

    If one iteration gives several values (the gaps between tokens), `per_iteration` holds one mean
    per iteration: n and the interval come from those, because gaps within a request correlate. Of
    several `starts`, which hold the same for each, the interval is over these.
    """
    units = values if per_iteration is None else per_iteration
    n = len(units)
    if not values:
        return Summary(unit=unit, n=0, notes=["no sample"])
    ordered = sorted(values)
    centre = median(ordered)
    notes = [format_few(n)] if n < FEW_SAMPLES else []
    outliers = count_outliers(ordered)
    if outliers:
        notes.append(f"{format_count(outliers, 'outlier')} kept")
    percentiles = {
        f"p{p}": compute_percentile_above_floor(ordered, n, p) for p in REPORTED_PERCENTILES
    }
    notes += [
        f"p{p} after {PERCENTILE_FLOORS[p]} ({n} so far)"
        for p in REPORTED_PERCENTILES
        if n < PERCENTILE_FLOORS[p]
    ]
    times = [1 / v for v in units] if rate else units
    if starts is not None:
        ci, note = compute_interval_over_starts(starts, rate=rate)
        notes.append(note)
    elif (ci := intervals.compute_mean_interval(times, seed)) is None:
        notes.append("no interval: n < 2")
    elif rate:
        ci = invert_interval(ci)
        notes += [] if ci else [TOO_FEW_NOTE]
    return Summary(
        unit=unit,
        n=n,
        mean=1 / fmean(times) if rate else fmean(values),
        median=centre,
        stdev=stdev(values) if len(values) > 1 else None,
        mad=median([abs(v - centre) for v in ordered]),
        min=ordered[0],
        max=ordered[-1],
        ci95=ci,
        notes=notes,
        **percentiles,
    )


def compute_interval_over_starts(
    starts: Sequence[Sequence[float]], *, rate: bool
) -> tuple[intervals.Interval | None, str]:
    """Return Student's t interval over the means of starts, and a note on it.

    Equal processes differ, so the iterations of one are no independent values. There is none of
    fewer starts than a comparison needs.
    """
    means = [fmean(1 / v if rate else v for v in values) for values in starts if values]
    if len(means) < FIRST_LOOK_STARTS:
        count = format_count(len(means), "start")
        return None, f"no interval: {count} of at least {FIRST_LOOK_STARTS}"
    ci = intervals.compute_student_t_interval(means)
    if ci is not None and rate and (ci := invert_interval(ci)) is None:
        return None, TOO_FEW_NOTE
    return ci, f"{len(means)} starts: an interval is over their means"


def invert_interval(interval: tuple[float, float]) -> tuple[float, float] | None:
    """Return the interval of a rate from that of the time per piece of work.

    It is None if the interval of the time reaches zero.
    """
    low, high = interval
    return (1 / high, 1 / low) if low > 0 else None


def summarise_single(value: float | None, unit: str, note: str) -> Summary:
    """Return the summary of a figure measured once: no spread, no interval, and `note` if given."""
    if value is None:
        return Summary(unit=unit, n=0, notes=[note])
    return Summary(
        unit=unit, n=1, mean=value, median=value, min=value, max=value, notes=[note] if note else []
    )
