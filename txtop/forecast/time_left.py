"""How far a running session is, and a guess of the time that it has left."""

from __future__ import annotations

from statistics import fmean

from txtop import formatting
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.units import NS_PER_S


def estimate_traffic_s(cell: Cell, plan: Plan) -> float:
    """What the load of a cell lasts about where it has a rate, and at most in any case; seconds."""
    asked = cell.serving
    assert asked is not None
    return plan.budget_s if asked.rate is None else min(plan.budget_s, asked.requests / asked.rate)


def compute_progress(cell: CellState, state: SessionState) -> float:
    """How far a running cell has come: by its iterations, or by the most it may spend."""
    plan, asked = state.plan, cell.cell.serving
    if asked is not None:
        measured_s = (state.clock_ns - cell.measured_from_ns) / NS_PER_S
        spent = measured_s / plan.budget_s if cell.measured_from_ns else 0.0
        return min(1.0, max(spent, len(cell.samples.kept()) / asked.requests))
    if plan.fixed_iterations is not None:
        return min(1.0, len(cell.samples) / (1 + plan.expected_warmup + plan.fixed_iterations))
    spent_s = sum(cell.samples.e2e_ns) / NS_PER_S
    return min(1.0, spent_s / plan.budget_s)


def estimate_time_left(state: SessionState, order: list[CellState]) -> str:
    """From what cells took so far."""
    if state.ended is not None:
        return ""
    took = [
        (c.ended_at_ns - c.started_at_ns) / NS_PER_S for c in order if c.status == "ok" and c.worker
    ]
    waiting = [c for c in order if not c.over and c.cell.id != state.current]
    current = state.cells.get(state.current or "")
    rest_s = 0.0
    if current is not None:
        spent_s = (state.clock_ns - current.started_at_ns) / NS_PER_S
        whole_s = _estimate_total_s(state, current, spent_s, took)
        if whole_s is not None:
            rest_s = max(0.0, whole_s - spent_s)
            took = took or [whole_s]
        elif took:
            rest_s = max(0.0, fmean(took) - spent_s)
    served = [c for c in waiting if c.cell.serving is not None]
    others = len(waiting) - len(served)
    if not took and (others or not served or current is not None):
        return formatting.PENDING
    to_come_s = others * fmean(took) if others else 0.0
    to_come_s += sum(estimate_traffic_s(c.cell, state.plan) for c in served)
    return formatting.format_estimate(rest_s + to_come_s)


def _estimate_total_s(
    state: SessionState, current: CellState, spent_s: float, took: list[float]
) -> float | None:
    """What a cell at work will have taken in all; null before there is anything to guess from."""
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
    whole_s = beside_s + (spent_s - beside_s) / done
    if state.plan.fixed_iterations is None and took:
        return min(whole_s, max(fmean(took), spent_s))
    return whole_s
