"""Search the edge between what runs and what does not, in few probes: pure functions of outcomes.

An outcome depends on a whole number of steps alone (sequences, or 64 tokens). A forecast of bytes
for each number says where to look first, the bytes of what ran correct it, and where it is not to
be trusted the bracket is halved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MAX_PROBES = 8
# Of the limit: the usual error of a forecast, and what two equal probes differ by.
_FORECAST_ERROR = 0.08
_NOISE = 0.005
# After so many probes of which none ran, the least is tried.
_MAX_FAILURES = 4
# Of what is extrapolated from the nearest peak.
_SLOPE_ERROR = 0.05
# Nothing larger than so many times what ran is tried next.
_GROWTH = 16


@dataclass(frozen=True)
class Outcome:
    """The end of a probe: whether it ran, and the bytes that it took at its peak if they are
    known."""

    ran: bool
    peak_bytes: float | None = None


@dataclass(frozen=True)
class Bracket:
    """The most steps that ran, 0 if none did, and the fewest beyond them that did not."""

    ran: int
    failed: int | None

    @property
    def is_closed(self) -> bool:
        """Return True if both sides are one step apart."""
        return self.failed is not None and self.failed == self.ran + 1


def find_bracket(outcomes: Mapping[int, Outcome]) -> Bracket:
    """Return the bracket of `outcomes`, by their steps.

    What ran above the fewest that did not is left out: it cannot be relied on.
    """
    failed = min((n for n, outcome in outcomes.items() if not outcome.ran), default=None)
    ran = [n for n, outcome in outcomes.items() if outcome.ran and (failed is None or n < failed)]
    return Bracket(max(ran, default=0), failed)


def choose_probe(
    outcomes: Mapping[int, Outcome],
    most: int,
    forecast: Callable[[int], float | None],
    limit_bytes: float | None,
) -> int | None:
    """Return the steps to try next, from 1 to `most`; None if the edge is found or given up.

    `forecast` grows with the steps, but for a fall where blocks get large enough to be mapped. The
    edge lies about where the corrected forecast reaches the limit, with heavy tails (Cauchy): the
    next probe is the median of that within the bracket, but so that halving can close what is left.
    Without a forecast or a limit it grows from one step, 16 times at once, and halves from then on.
    """
    bracket = find_bracket(outcomes)
    if bracket.is_closed or bracket.ran >= most or len(outcomes) >= MAX_PROBES:
        return None
    low, high = bracket.ran, bracket.failed
    if low == 0 and len(outcomes) >= _MAX_FAILURES:
        return 1
    edge = find_predicted_edge(outcomes, most, forecast, limit_bytes)
    if edge is None or limit_bytes is None:
        middle = _GROWTH * low if high is None else (low + high) // 2
        return min(max(1, middle), most)
    if not outcomes:
        return min(max(1, edge), most)
    spread = max(0.5, _find_spread(outcomes, edge, forecast, limit_bytes))
    # Half a step on: the probe at the edge runs, and the one behind it does not.
    centre = edge + 0.5
    below = _compute_share(low, centre, spread)
    above = 1.0 if high is None else _compute_share(high - 1, centre, spread)
    median = centre + spread * math.tan(math.pi * ((below + above) / 2 - 0.5))
    if high is None:
        return min(max(low + 1, math.ceil(median)), _GROWTH * low, most)
    # So that halving closes what is left, whatever it is: peaks of equal probes may differ widely.
    closable = 1 << (MAX_PROBES - len(outcomes) - 1)
    least, highest = max(low + 1, high - closable), min(high - 1, low + closable)
    if least > highest:
        least, highest = low + 1, high - 1
    return min(max(least, math.ceil(median)), highest)


def _compute_share(steps: float, centre: float, spread: float) -> float:
    """Return the share of a Cauchy distribution that lies below `steps`."""
    return 0.5 + math.atan((steps - centre) / spread) / math.pi


def _find_spread(
    outcomes: Mapping[int, Outcome],
    edge: int,
    forecast: Callable[[int], float | None],
    limit_bytes: float,
) -> float:
    """Return by how many steps the edge may be elsewhere than predicted."""
    below, above = forecast(edge), forecast(edge + 1)
    step_bytes = 0.0 if below is None or above is None else above - below
    peaks = [outcome.peak_bytes for outcome in outcomes.values() if outcome.peak_bytes]
    if peaks:
        off = _NOISE * limit_bytes + _SLOPE_ERROR * min(abs(limit_bytes - peak) for peak in peaks)
    else:
        off = _FORECAST_ERROR * limit_bytes
    return off / step_bytes if step_bytes > 0 else float(edge)


def find_predicted_edge(
    outcomes: Mapping[int, Outcome],
    most: int,
    forecast: Callable[[int], float | None],
    limit_bytes: float | None,
) -> int | None:
    """Return the most steps whose corrected forecast is within the limit; None if unknown."""
    if limit_bytes is None or correct_forecast(outcomes, 1, forecast) is None:
        return None
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        needed = correct_forecast(outcomes, middle, forecast)
        if needed is not None and needed <= limit_bytes:
            low = middle
        else:
            high = middle
    return low


def complete_forecast(
    outcomes: Mapping[int, Outcome], forecast: Callable[[int], float | None]
) -> Callable[[int], float | None]:
    """Return `forecast`; where it knows nothing, a curve through the peaks that were measured.

    It is a line through the first and the last, bent through one between them if that lies below.
    Without two peaks that grow it knows nothing either.
    """
    measured = sorted((n, o.peak_bytes) for n, o in outcomes.items() if o.peak_bytes)
    if len(measured) < 2 or forecast(1) is not None:
        return forecast
    (first, low), (last, high) = measured[0], measured[-1]
    slope, bend = (high - low) / (last - first), 0.0
    if slope <= 0:
        return forecast
    if between := measured[1:-1]:
        near, peak = min(between, key=lambda pair: abs(2 * pair[0] - first - last))
        below = low + slope * (near - first) - peak
        bend = max(0.0, below / ((near - first) * (last - near)))
    return lambda steps: high + (steps - last) * (slope + bend * (steps - first))


def correct_forecast(
    outcomes: Mapping[int, Outcome], steps: int, forecast: Callable[[int], float | None]
) -> float | None:
    """Return the forecast for `steps`, corrected by what was measured at other numbers of them.

    The growth of the forecast from the nearest measured number is scaled by the growth that was
    measured between two of them, where there are two that differ enough. None where it is unknown
    at one of these.
    """
    expected = forecast(steps)
    measured = sorted((n, o.peak_bytes) for n, o in outcomes.items() if o.peak_bytes)
    if expected is None or not measured:
        return expected
    near, peak = min(measured, key=lambda pair: abs(pair[0] - steps))
    (first, low), (last, high) = measured[0], measured[-1]
    at_near, at_first, at_last = forecast(near), forecast(first), forecast(last)
    if at_near is None or at_first is None or at_last is None:
        return None
    scale, grown = 1.0, at_last - at_first
    if last > first and grown > 0.1 * high:
        scale = min(2.0, max(0.5, (high - low) / grown))
    return peak + scale * (expected - at_near)
