"""Round numbers for the ends and the steps of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

HEADS = (1, 2, 5, 10)
# Steps in a range at most: finer ends would change often, coarser ones would waste the height.
RANGE_STEPS = 8
ALMOST = 1e-9
# Steps by which a scale is widened around its middle, so that it changes seldom.
WIDENINGS = (0.10, 0.25, 0.50, 1.00)


def round_up_step(value: float) -> float:
    """Return the smallest 1, 2 or 5 times a power of ten that is not below `value`."""
    decade = math.floor(math.log10(value))
    return next(step for head in HEADS if (step := power(head, decade)) >= value * (1 - ALMOST))


def round_outwards(low: float, high: float) -> tuple[float, float]:
    """Return the range with its ends moved outwards to multiples of a round step."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return low, high
    step = round_up_step((high - low) / RANGE_STEPS)
    first, last = math.floor(low / step + ALMOST), math.ceil(high / step - ALMOST)
    return float(f"{first * step:.12g}"), float(f"{last * step:.12g}")


def widen_range(middle: float, values: Sequence[float]) -> tuple[float, float]:
    """Return `middle` ±10 %, widened until it holds 95 % of `values`, with round ends."""
    for widening in WIDENINGS:
        low, high = middle * (1 - widening), middle * (1 + widening)
        if sum(low <= value <= high for value in values) >= 0.95 * len(values):
            return round_outwards(low, high)
    return round_outwards(0.0, max(values))


def power(head: int, decade: int) -> float:
    """Return `head` x 10^`decade` as exactly as the literal, without the error of a product."""
    return float(f"{head}e{decade}")
