"""Joules that a device took in an interval, gross and net of what it takes when idle."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

NS_PER_S = 1_000_000_000
SHORTEST_S = 2.0
SHORTEST_TURN_S = 1.0
SHORTEST_OF_TURNS_S = 10.0
HOLE_S = 1.0

# Nanoseconds, in order, beside the values read then; NaN where nothing could be read.
Series = tuple[Sequence[int], Sequence[float]]
Point = tuple[int, float]
Source = Literal["counter", "integrated power"]


@dataclass(frozen=True)
class Energy:
    """`joules` over `seconds`; null where `reason` says why. `source` labels the fallback."""

    seconds: float
    joules: float | None = None
    source: Source | None = None
    reason: str = ""

    @property
    def watts(self) -> float | None:
        """The mean power; over an interval without work it is what `net` takes as idle."""
        return None if self.joules is None else self.joules / self.seconds


def energy(counter: Series, power: Series, from_ns: int, to_ns: int) -> Energy:
    """Gross joules between two moments: E(to) - E(from) of the counter (J since some moment), or,
    where that was never read meanwhile, the integral of power (W) by the trapezoidal rule.

    Both are interpolated linearly at the ends, so that adjacent intervals add up.
    """
    if to_ns - from_ns < SHORTEST_S * NS_PER_S:
        seconds = (to_ns - from_ns) / NS_PER_S
        return Energy(seconds, reason=f"shorter than {SHORTEST_S:.0f} s")
    return _over(counter, power, from_ns, to_ns)


def in_turns(counter: Series, power: Series, turns: Sequence[tuple[int, int]]) -> Energy:
    """The joules of several intervals (from, to) together: what one arm of an A/B took. Devices
    average over up to a second, so that shorter turns cannot be told apart; and under 10 s in all
    nothing is said."""
    seconds = sum(to - since for since, to in turns) / NS_PER_S
    if seconds < SHORTEST_OF_TURNS_S:
        return Energy(seconds, reason=f"shorter than {SHORTEST_OF_TURNS_S:.0f} s")
    if any(to - since < SHORTEST_TURN_S * NS_PER_S for since, to in turns):
        return Energy(seconds, reason=f"turns of under {SHORTEST_TURN_S:.0f} s")
    parts = [_over(counter, power, since, to) for since, to in turns]
    unread = next((part for part in parts if part.joules is None), None)
    if unread is not None:
        return Energy(seconds, source=unread.source, reason=unread.reason)
    source: Source = "counter"
    if any(part.source != source for part in parts):
        source = "integrated power"
    return Energy(seconds, sum(part.joules or 0.0 for part in parts), source)


def _over(counter: Series, power: Series, from_ns: int, to_ns: int) -> Energy:
    seconds = (to_ns - from_ns) / NS_PER_S
    points = _read(counter)
    source: Source = "counter"
    if not any(from_ns <= at <= to_ns for at, _ in points):
        points, source = _read(power), "integrated power"
    if not any(from_ns <= at <= to_ns for at, _ in points):
        return Energy(seconds, reason="neither energy nor power was read")
    first = bisect_right(points, from_ns, key=_time) - 1
    last = bisect_left(points, to_ns, key=_time)
    if first < 0 or last == len(points):
        return Energy(seconds, source=source, reason="not read from beginning to end")
    around = points[first : last + 1]
    start = _between(around[0], around[1], from_ns)
    inside = [start, *around[1:-1], _between(around[-2], around[-1], to_ns)]
    if source == "counter":
        return _difference(seconds, around, inside)
    return _integral(seconds, around, inside)


def net(gross: Energy, idle_w: float) -> Energy:
    """What is left of `gross` without `idle_w` watts all the while; null where that is more."""
    if gross.joules is None:
        return gross
    joules = gross.joules - idle_w * gross.seconds
    if joules < 0:
        return Energy(gross.seconds, source=gross.source, reason="less than idle power takes")
    return Energy(gross.seconds, joules, gross.source)


def _read(series: Series) -> list[Point]:
    return [(at, value) for at, value in zip(*series, strict=True) if math.isfinite(value)]


def _time(point: Point) -> int:
    return point[0]


def _between(before: Point, after: Point, at_ns: int) -> Point:
    (t0, v0), (t1, v1) = before, after
    if at_ns in (t0, t1):
        return at_ns, v0 if at_ns == t0 else v1
    value = v0 + (v1 - v0) * ((at_ns - t0) / (t1 - t0))
    # Rounding must not step over a reading: a counter would seem to run backwards.
    return at_ns, min(max(value, min(v0, v1)), max(v0, v1))


def _hole(before: Point, after: Point) -> bool:
    return after[0] - before[0] > HOLE_S * NS_PER_S


def _difference(seconds: float, around: list[Point], inside: list[Point]) -> Energy:
    if any(later < earlier for (_, earlier), (_, later) in pairwise(around)):
        return Energy(seconds, source="counter", reason="the energy counter ran backwards")
    # The counter goes on where nobody reads it: only a guess of its value at an end is a hole.
    ends = ((inside[0], around[:2]), (inside[-1], around[-2:]))
    if any(end not in pair and _hole(*pair) for end, pair in ends):
        return Energy(seconds, source="counter", reason=f"not read for over {HOLE_S:.0f} s")
    return Energy(seconds, inside[-1][1] - inside[0][1], "counter")


def _integral(seconds: float, around: list[Point], inside: list[Point]) -> Energy:
    if any(_hole(*pair) for pair in pairwise(around)):
        reason = f"power was not read for over {HOLE_S:.0f} s"
        return Energy(seconds, source="integrated power", reason=reason)
    joules = sum((b - a) / NS_PER_S * (v + w) / 2 for (a, v), (b, w) in pairwise(inside))
    return Energy(seconds, joules, "integrated power")
