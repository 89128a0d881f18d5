"""The live gate that ends warm-up, as in docs/method.md, "Warm-up and steady state"."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from txtop.stats import stopping

WINDOW = 10
MAX_CHANGE = 0.01
BUDGET_SHARE = 0.25
# A GPU is settled by the last CALM_S of its clock, judged over at least CALM_MIN_S.
CALM_S = 10.0
CALM_MIN_S = 2.0

TimedReadings = Sequence[tuple[float, float]]


def is_flat(durations: Sequence[float]) -> bool:
    """Return True if the medians of the last two windows of 10 durations differ by less than 1 %.

    False for fewer than 20 durations. Durations may be in any unit. docs/method.md states the bias
    that this gate leaves, and that of a fixed number of warm-up iterations.
    """
    if len(durations) < 2 * WINDOW:
        return False
    before = median(durations[-2 * WINDOW : -WINDOW])
    after = median(durations[-WINDOW:])
    return abs(after - before) < MAX_CHANGE * before or after == before


def is_settled(clock_mhz: TimedReadings) -> bool:
    """Return True if a GPU's SM clock holds within 1 %.

    Readings are (seconds, MHz) since the first iteration, in order. Only the last 10 s count; their
    later half is compared with the earlier one. False if they span less than 2 s. The temperature
    is not asked: it comes in whole degrees, one of which over 2 s reads as 10 °C in 10 s, and it
    slows a GPU through its clock alone.
    """
    recent = [r for r in clock_mhz if r[0] > clock_mhz[-1][0] - CALM_S]
    if len(recent) < 2 or recent[-1][0] - recent[0][0] < CALM_MIN_S:
        return False
    half = len(recent) // 2
    before, after = (fmean(mhz for _, mhz in part) for part in (recent[:half], recent[half:]))
    return abs(after - before) < MAX_CHANGE * before


def is_budget_spent(spent_s: float, budget_s: float) -> bool:
    """Return True if warm-up has used its quarter of the cell's budget, both in seconds."""
    return spent_s >= BUDGET_SHARE * budget_s


def suggest_iterations(warm: int) -> int:
    """Return the iterations to run before the gate can decide again, after `warm` of them."""
    return 2 * WINDOW - warm if warm < 2 * WINDOW else WINDOW


def fit_count(
    left: int, *, done: int, spent_s: float, cost_s: float, budget_s: float, measured: int
) -> int:
    """Return how many of the `left` warm-up iterations that were asked for fit into a budget.

    All of them, if `measured` iterations fit after them. Else they have the gate's quarter of the
    budget, and at least one is made where it leaves time for three measured ones. `cost_s` is the
    time of the newest iteration.
    """
    if spent_s + (left + measured) * cost_s <= budget_s:
        return left
    least = done == 0 and stopping.is_warmup_affordable(cost_s, budget_s)
    quarter = int((BUDGET_SHARE * budget_s - spent_s) / cost_s)
    return max(0, min(left, max(quarter, int(least))))
