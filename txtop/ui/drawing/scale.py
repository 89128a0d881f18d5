"""The scale of an axis: its range, its ticks, and the position of a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from txtop.ui.models.round_numbers import power, round_up_step

# Ends are rounded to a twentieth of a decade, so that a changing point rarely moves the others.
STEPS_PER_DECADE = 20
MARGIN_SHARE = 0.06
MIN_MARGIN = 0.04
MIN_TICKS = 3
COARSE_FACTORS = (1, 2, 5)
FINE_FACTORS = (1, 2, 3, 4, 5, 7)
FINE_BELOW = 20.0
LINEAR_TICKS = 5
SMALLEST, LARGEST = 1e-12, 1e15


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, linear or logarithmic, labelled at `ticks`."""

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return the position of `value` from 0 (low end) to 1 (high end), clamped to the ends."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            at = math.log(min(LARGEST, max(SMALLEST, value)))
        else:
            low, high, at = self.low, self.high, value
        return min(1.0, max(0.0, (at - low) / (high - low)))


def build_log_scale(values: Sequence[float], ticks: Sequence[float] = ()) -> Scale:
    """Build a logarithmic scale around `values` (all above 0), labelled at `ticks` or else at round
    numbers."""
    clamped = [min(LARGEST, max(SMALLEST, value)) for value in values] or [1.0, 10.0]
    low, high = math.log10(min(clamped)), math.log10(max(clamped))
    room = max(MIN_MARGIN, MARGIN_SHARE * (high - low))
    low = math.floor((low - room) * STEPS_PER_DECADE) / STEPS_PER_DECADE
    high = math.ceil((high + room) * STEPS_PER_DECADE) / STEPS_PER_DECADE
    ends = 10**low, 10**high
    return Scale(*ends, True, tuple(ticks) or compute_log_ticks(*ends))


def build_linear_scale(values: Sequence[float], ticks: Sequence[float] = ()) -> Scale:
    """Build a scale that starts at 0, so that twice the value is twice as high."""
    most = max(values, default=1.0) * (1 + MARGIN_SHARE)
    step = round_up_step(most / LINEAR_TICKS)
    high = math.ceil(most / step * 2) * step / 2
    return Scale(0.0, high, False, tuple(ticks) or compute_even_ticks(0.0, high))


def compute_log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return 1-2-5 of each decade, or 1-2-3-4-5-7 below a span of 20; even steps if these are fewer
    than `MIN_TICKS`."""
    heads = COARSE_FACTORS if high / low >= FINE_BELOW else FINE_FACTORS
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = tuple(
        value for d in decades for head in heads if low <= (value := power(head, d)) <= high
    )
    return ticks if len(ticks) >= MIN_TICKS else compute_even_ticks(low, high)


def compute_even_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return three to ten multiples of a round step."""
    ticks: list[float] = []
    for count in (LINEAR_TICKS, 2 * LINEAR_TICKS):
        step = round_up_step((high - low) / count)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        ticks = [float(f"{i * step:.12g}") for i in range(first, last + 1)]
        if len(ticks) >= MIN_TICKS:
            break
    return tuple(ticks)


def format_tick(value: float) -> str:
    """Format a tick label: `0.5`, `20`, `1000`, `20k`, `1.5M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:.4g}"
