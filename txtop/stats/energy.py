"""Energy that a device used in an interval, gross and net of its idle power.

The rules are those of docs/method.md, "Telemetry, energy, money".
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from txtop.units import NS_PER_S

# Devices average power over up to a second: shorter stretches cannot be told apart.
MIN_INTERVAL_S = 2.0
MIN_TURN_S = 1.0
MIN_TURNS_TOTAL_S = 10.0
MAX_GAP_S = 1.0

# Ascending times in ns, and the value read at each; NaN marks a reading that failed.
TimeSeries = tuple[Sequence[int], Sequence[float]]
TimedValue = tuple[int, float]
EnergySource = Literal["counter", "integrated power"]


@dataclass(frozen=True)
class Energy:
    """The `joules` used over `seconds`, or None and the `reason`.

    `source` is "integrated power" if there was no energy counter to read.
    """

    seconds: float
    joules: float | None = None
    source: EnergySource | None = None
    reason: str = ""

    @property
    def watts(self) -> float | None:
        """The mean power in W; over an interval without work, the idle power of a device."""
        return None if self.joules is None else self.joules / self.seconds


def explain_too_short(interval: tuple[int, int]) -> str:
    """Return why readings of one (from, to) interval in ns are not of it; empty if they are.

    Devices average power and utilisation over up to a second, so that under 2 s most of a reading
    may be of what was before.
    """
    since, to = interval
    return f"shorter than {MIN_INTERVAL_S:.0f} s" if to - since < MIN_INTERVAL_S * NS_PER_S else ""


def explain_too_short_turns(turns: Sequence[tuple[int, int]]) -> str:
    """Return why readings of all `turns` of an arm are not of that arm; empty if they are.

    Each must take 1 s, because devices average over up to a second, and all together 10 s.
    """
    if sum(to - since for since, to in turns) < MIN_TURNS_TOTAL_S * NS_PER_S:
        return f"shorter than {MIN_TURNS_TOTAL_S:.0f} s"
    if any(to - since < MIN_TURN_S * NS_PER_S for since, to in turns):
        return f"turns of under {MIN_TURN_S:.0f} s"
    return ""


def compute_energy(counter: TimeSeries, power: TimeSeries, from_ns: int, to_ns: int) -> Energy:
    """Return the gross joules used between two times in ns.

    The result is E(to) - E(from) of `counter` (J since an arbitrary start) or, if the counter has
    no reading in between, the integral of `power` (W) by the trapezoidal rule. Both are
    interpolated linearly at the ends, so that adjacent intervals add up.
    """
    reason = explain_too_short((from_ns, to_ns))
    if reason:
        return Energy((to_ns - from_ns) / NS_PER_S, reason=reason)
    return _compute_interval(counter, power, from_ns, to_ns)


def compute_energy_of_turns(
    counter: TimeSeries, power: TimeSeries, turns: Sequence[tuple[int, int]]
) -> Energy:
    """Return the joules of several (from, to) intervals together: what one arm of an A/B used.

    There is no value if `explain_too_short_turns` has a reason.
    """
    seconds = sum(to - since for since, to in turns) / NS_PER_S
    reason = explain_too_short_turns(turns)
    if reason:
        return Energy(seconds, reason=reason)
    parts = [_compute_interval(counter, power, since, to) for since, to in turns]
    unread = next((part for part in parts if part.joules is None), None)
    if unread is not None:
        return Energy(seconds, source=unread.source, reason=unread.reason)
    source: EnergySource = "counter"
    if any(part.source != source for part in parts):
        source = "integrated power"
    return Energy(seconds, sum(part.joules or 0.0 for part in parts), source)


def _compute_interval(counter: TimeSeries, power: TimeSeries, from_ns: int, to_ns: int) -> Energy:
    seconds = (to_ns - from_ns) / NS_PER_S
    points = _read_points(counter)
    source: EnergySource = "counter"
    if not any(from_ns <= at <= to_ns for at, _ in points):
        points, source = _read_points(power), "integrated power"
    if not any(from_ns <= at <= to_ns for at, _ in points):
        return Energy(seconds, reason="neither energy nor power was read")
    first = bisect_right(points, from_ns, key=_time) - 1
    last = bisect_left(points, to_ns, key=_time)
    if first < 0 or last == len(points):
        return Energy(seconds, source=source, reason="not read from beginning to end")
    around = points[first : last + 1]
    start = _interpolate(around[0], around[1], from_ns)
    inside = [start, *around[1:-1], _interpolate(around[-2], around[-1], to_ns)]
    if source == "counter":
        return _from_counter(seconds, around, inside)
    return _from_power(seconds, around, inside)


def subtract_idle(gross: Energy, idle_w: float) -> Energy:
    """Return `gross` less `idle_w` watts over the same time; no value if the result is negative."""
    if gross.joules is None:
        return gross
    joules = gross.joules - idle_w * gross.seconds
    if joules < 0:
        return Energy(gross.seconds, source=gross.source, reason="less than idle power takes")
    return Energy(gross.seconds, joules, gross.source)


def _read_points(series: TimeSeries) -> list[TimedValue]:
    return [(at, value) for at, value in zip(*series, strict=True) if math.isfinite(value)]


def _time(point: TimedValue) -> int:
    return point[0]


def _interpolate(before: TimedValue, after: TimedValue, at_ns: int) -> TimedValue:
    (t0, v0), (t1, v1) = before, after
    if at_ns in (t0, t1):
        return at_ns, v0 if at_ns == t0 else v1
    value = v0 + (v1 - v0) * ((at_ns - t0) / (t1 - t0))
    # Rounding must not step over a reading: a counter would seem to run backwards.
    return at_ns, min(max(value, min(v0, v1)), max(v0, v1))


def _is_gap(before: TimedValue, after: TimedValue) -> bool:
    return after[0] - before[0] > MAX_GAP_S * NS_PER_S


def _from_counter(seconds: float, around: list[TimedValue], inside: list[TimedValue]) -> Energy:
    if any(later < earlier for (_, earlier), (_, later) in pairwise(around)):
        return Energy(seconds, source="counter", reason="the energy counter ran backwards")
    # The counter runs on between readings: only an end interpolated over a gap is unsafe.
    ends = ((inside[0], around[:2]), (inside[-1], around[-2:]))
    if any(end not in pair and _is_gap(*pair) for end, pair in ends):
        return Energy(seconds, source="counter", reason=f"not read for over {MAX_GAP_S:.0f} s")
    return Energy(seconds, inside[-1][1] - inside[0][1], "counter")


def _from_power(seconds: float, around: list[TimedValue], inside: list[TimedValue]) -> Energy:
    if any(_is_gap(*pair) for pair in pairwise(around)):
        reason = f"power was not read for over {MAX_GAP_S:.0f} s"
        return Energy(seconds, source="integrated power", reason=reason)
    joules = sum((b - a) / NS_PER_S * (v + w) / 2 for (a, v), (b, w) in pairwise(inside))
    return Energy(seconds, joules, "integrated power")
