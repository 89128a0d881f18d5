"""The stopping rule of a cell, as in docs/method.md, "Stopping rule"."""

from __future__ import annotations

import math
from typing import Literal

MIN_ITERATIONS = 10
MIN_MEASURED_S = 3.0
MIN_UNDER_BUDGET = 3
# Beyond this multiple of its budget a cell begins no iteration once it has measured one.
OVERRUN = 1.5
# Relative half-widths at which a cell has converged: headline metric and TPOT, then TTFT.
RATE_HALF_WIDTH = 0.01
TTFT_HALF_WIDTH = 0.03

NO_STEADY_FROM = 30
NO_STEADY_LOOKS = 2

StoppedBy = Literal["iterations", "converged", "budget", "no_steady_state"]


def decide_stop(
    *,
    n: int,
    measured_s: float,
    spent_s: float,
    budget_s: float,
    iterations: int | None,
    fitted: bool = False,
    half_widths: list[tuple[float, float]],
    drifting: int = 0,
) -> StoppedBy | None:
    """Return the reason to stop a cell with `n` measured iterations, or None to go on.

    `spent_s` includes warm-up; `half_widths` are pairs of an anytime-valid relative half-width and
    its bound, used only if `iterations` is None. Iterations that are `fitted` are the most that the
    budget may hold, others are measured whatever they take. `drifting` counts the latest looks in a
    row that found no steady state.
    """
    if iterations is not None and n >= iterations:
        return "iterations"
    if iterations is not None and not fitted:
        return None
    if is_time_over(n, spent_s, budget_s):
        return "budget"
    if iterations is not None or n < MIN_ITERATIONS or measured_s < MIN_MEASURED_S:
        return None
    if all(width <= bound for width, bound in half_widths):
        return "converged"
    return "no_steady_state" if n >= NO_STEADY_FROM and drifting >= NO_STEADY_LOOKS else None


def is_time_over(n: int, spent_s: float, budget_s: float) -> bool:
    """Return True if a cell with `n` measured iterations has used up its time.

    Three are measured beyond the budget if they begin within 1.5 times of it, and one in any case,
    so that a cell ends within 1.5 times its budget and one iteration.
    """
    if n >= MIN_UNDER_BUDGET:
        return spent_s >= budget_s
    return n >= 1 and spent_s >= OVERRUN * budget_s


def count_affordable(cost_s: float, budget_s: float) -> int:
    """Return how many iterations of `cost_s` each a budget pays for, warm-up included.

    At least three, and a warm-up iteration before them, as far as 1.5 times the budget allow it.
    """
    within = math.ceil(OVERRUN * budget_s / cost_s)
    least = MIN_UNDER_BUDGET + is_warmup_affordable(cost_s, budget_s)
    return max(math.ceil(budget_s / cost_s), min(least, within))


def is_warmup_affordable(cost_s: float, budget_s: float) -> bool:
    """Return True if one warm-up iteration leaves time for three measured ones."""
    return (1 + MIN_UNDER_BUDGET) * cost_s <= OVERRUN * budget_s
