"""The live gate: when warm-up may end and measuring begin."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

WINDOW = 10
WITHIN = 0.01
SHARE = 0.25


def flat(durations: Sequence[float]) -> bool:
    """Whether the medians of the last two windows of 10 durations differ by under 1 %.

    False under 20 durations; in any unit. METHOD, "Warm-up and steady state": on a simulated
    exponential warm-up this leaves 0.27 % of bias, a fixed discard of 3 leaves 3 %.
    """
    if len(durations) < 2 * WINDOW:
        return False
    before = median(durations[-2 * WINDOW : -WINDOW])
    after = median(durations[-WINDOW:])
    return abs(after - before) < WITHIN * before or after == before


def given_up(spent_s: float, budget_s: float) -> bool:
    """Whether warm-up has had its quarter of the cell's budget, both in seconds."""
    return spent_s >= SHARE * budget_s


def wanted(warm: int) -> int:
    """Iterations worth asking for before the gate can say something new, after `warm` of them."""
    return 2 * WINDOW - warm if warm < 2 * WINDOW else WINDOW
