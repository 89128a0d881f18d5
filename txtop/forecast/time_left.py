"""Compute the progress of a running session, and estimate the time that it has left.

The live screen shows both in every frame; unlike `forecast.duration` they rest on this session
alone.
"""

from __future__ import annotations

from statistics import fmean

from txtop import formatting
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.units import NS_PER_S


def estimate_traffic_s(cell: Cell, plan: Plan) -> float:
    """Return the seconds that the load of a cell lasts: about, if it has a rate, else at most."""
    serving = cell.serving
    assert serving is not None
    return (
        plan.budget_s
        if serving.rate is None
        else min(plan.budget_s, serving.requests / serving.rate)
    )


def compute_progress(cell: CellState, state: SessionState) -> float:
    """Return the progress of a running cell from 0 to 1, by its iterations or by its budget.

    An arm of an A/B that has a number of blocks is as far as they are.
    """
    plan, serving = state.plan, cell.cell.serving
    if serving is not None:
        measured_s = (state.clock_ns - cell.measured_from_ns) / NS_PER_S
        spent = measured_s / plan.budget_s if cell.measured_from_ns else 0.0
        return min(1.0, max(spent, len(cell.samples.kept()) / serving.requests))
    shares = []
    if plan.fixed_iterations is not None:
        made = len(cell.samples) - len(cell.samples.discarded)
        shares.append(made / (1 + plan.expected_warmup + plan.fixed_iterations))
    elif plan.iterations is not None and state.ab_test is not None:
        shares.append(state.ab_test.kept_blocks / (plan.iterations * plan.starts))
    if plan.timed:
        shares.append(sum(cell.samples.e2e_ns) / NS_PER_S / plan.budget_s)
    return min(1.0, max(shares, default=0.0))


def estimate_time_left(state: SessionState, order: list[CellState]) -> str:
    """Estimate the time left from what the cells in `order` took so far, as text."""
    if state.ended is not None:
        return ""
    durations_s = [
        (c.ended_at_ns - c.started_at_ns) / NS_PER_S for c in order if c.status == "ok" and c.worker
    ]
    now = state.list_measured_now()
    measured = [c for c in order if c.cell.id in now]
    waiting = [c for c in order if not c.over and c.cell.id not in now]
    lefts_s = []
    for current in measured:
        spent_s = (state.clock_ns - current.started_at_ns) / NS_PER_S
        total_s = _estimate_total_s(state, current, spent_s, durations_s)
        if total_s is not None:
            lefts_s.append(max(0.0, total_s - spent_s))
            durations_s = durations_s or [total_s]
        elif durations_s:
            lefts_s.append(max(0.0, fmean(durations_s) - spent_s))
    served = [c for c in waiting if c.cell.serving is not None]
    others = len(waiting) - len(served)
    if not durations_s and (others or not served or measured):
        return formatting.PENDING
    waiting_s = others * fmean(durations_s) if others else 0.0
    waiting_s += sum(estimate_traffic_s(c.cell, state.plan) for c in served)
    lanes = max(1, min(len(state.plan.places), len(measured) + len(waiting)))
    left_s = max([*lefts_s, (sum(lefts_s) + waiting_s) / lanes])
    return formatting.format_estimate(left_s)


def _estimate_total_s(
    state: SessionState, current: CellState, spent_s: float, durations_s: list[float]
) -> float | None:
    """Estimate the seconds that a running cell will have taken in all; None if it is too early."""
    if current.cell.serving is not None:
        if not current.measured_from_ns:
            return None
        before_s = (current.measured_from_ns - current.started_at_ns) / NS_PER_S
        # An overloaded server answers more slowly than requests come.
        paced_s = (spent_s - before_s) / max(compute_progress(current, state), 1e-9)
        longest_s = min(
            state.plan.budget_s, max(estimate_traffic_s(current.cell, state.plan), paced_s)
        )
        return before_s + longest_s
    done = compute_progress(current, state)
    if done <= 0 or not current.samples.role:
        return None
    beside_s = max(0.0, spent_s - sum(current.samples.e2e_ns) / NS_PER_S)
    total_s = beside_s + (spent_s - beside_s) / done
    if state.plan.timed and durations_s:
        return min(total_s, max(fmean(durations_s), spent_s))
    return total_s
