"""The time that a probe of `txtop fit` takes, from those that ran before it."""

from __future__ import annotations

from statistics import fmean

from txtop.analysis.edge import find_search, list_axes
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.stopping import count_affordable
from txtop.units import NS_PER_S


def estimate_probe_s(state: SessionState, own: CellState) -> float | None:
    """Estimate the seconds of the probe `own`; None for another cell, or before any probe ran.

    A call is taken to grow with the knob, from the probe nearest to it.
    """
    search, plan = find_search(state), state.plan
    if search is None:
        return None
    for axis in list_axes(search):
        steps = axis.count_steps(search, own.cell)
        if steps is None:
            continue
        ran = {
            n: other
            for other in state.cells.values()
            if other is not own
            and other.status == "ok"
            and other.samples.e2e_ns
            and (n := axis.count_steps(search, other.cell)) is not None
        }
        if not ran:
            continue
        near = min(ran, key=lambda n: abs(n - steps))
        grown = axis.read_value(own.cell) / axis.read_value(ran[near].cell)
        call_s = fmean(ran[near].samples.e2e_ns) / NS_PER_S * grown
        count = 1 + plan.expected_warmup + (plan.iterations or 0)
        if plan.timed:
            count = min(count, count_affordable(call_s, plan.budget_s))
        load = None if own.shares_weights else ran[near].load
        return count * call_s + (load.load_s if load is not None else 0.0)
    return None
