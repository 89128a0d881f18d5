"""The stopping rule of a cell, as in docs/method.md, "Stopping rule"."""

from __future__ import annotations

from typing import Literal

MIN_ITERATIONS = 10
MIN_MEASURED_S = 3.0
MIN_UNDER_BUDGET = 3
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
    half_widths: list[tuple[float, float]],
    drifting: int = 0,
) -> StoppedBy | None:
    """Return the reason to stop a cell with `n` measured iterations, or None to go on.

    `spent_s` includes warm-up; `half_widths` are pairs of an anytime-valid relative half-width and
    its bound, used only if `iterations` is None. `drifting` counts the latest looks in a row that
    found no steady state.
    """
    if iterations is not None:
        return "iterations" if n >= iterations else None
    if n >= MIN_UNDER_BUDGET and spent_s >= budget_s:
        return "budget"
    if n < MIN_ITERATIONS or measured_s < MIN_MEASURED_S:
        return None
    if all(width <= bound for width, bound in half_widths):
        return "converged"
    return "no_steady_state" if n >= NO_STEADY_FROM and drifting >= NO_STEADY_LOOKS else None
