"""The live gate: when warm-up may end and measuring begin."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import NamedTuple

WINDOW = 10
MAX_CHANGE = 0.01
BUDGET_SHARE = 0.25
CALM_S = 10.0
CALM_MIN_S = 2.0
CALM_C = 1.0

TimedReadings = Sequence[tuple[float, float]]


def is_flat(durations: Sequence[float]) -> bool:
    """Whether the medians of the last two windows of 10 durations differ by under 1 %.

    False under 20 durations; in any unit. METHOD, "Warm-up and steady state": on a simulated
    exponential warm-up this leaves 0.27 % of bias, a fixed discard of 3 leaves 3 %.
    """
    if len(durations) < 2 * WINDOW:
        return False
    before = median(durations[-2 * WINDOW : -WINDOW])
    after = median(durations[-WINDOW:])
    return abs(after - before) < MAX_CHANGE * before or after == before


def is_settled(temperature_c: TimedReadings, clock_mhz: TimedReadings) -> bool:
    """Whether a GPU's temperature moves by under 1 C in 10 s and its clock holds within 1 %.

    Readings since the first iteration, as (seconds, value) in order; of each the last 10 s count,
    whose later half is compared with the earlier one. False where they span less than 2 s.
    """
    warmer, faster = _change(temperature_c), _change(clock_mhz)
    if warmer is None or faster is None:
        return False
    return abs(warmer.slope) * CALM_S < CALM_C and abs(faster.step) < MAX_CHANGE * faster.level


class _Change(NamedTuple):
    """Later half minus earlier half, the same a second, and the earlier half's mean."""

    step: float
    slope: float
    level: float


def _change(readings: TimedReadings) -> _Change | None:
    recent = [r for r in readings if r[0] > readings[-1][0] - CALM_S]
    if len(recent) < 2 or recent[-1][0] - recent[0][0] < CALM_MIN_S:
        return None
    half = len(recent) // 2
    (at0, before), (at1, after) = (
        (fmean(t for t, _ in part), fmean(v for _, v in part))
        for part in (recent[:half], recent[half:])
    )
    return _Change(after - before, (after - before) / (at1 - at0), before)


def is_budget_spent(spent_s: float, budget_s: float) -> bool:
    """Whether warm-up has had its quarter of the cell's budget, both in seconds."""
    return spent_s >= BUDGET_SHARE * budget_s


def suggest_iterations(warm: int) -> int:
    """Iterations worth asking for before the gate can say something new, after `warm` of them."""
    return 2 * WINDOW - warm if warm < 2 * WINDOW else WINDOW
