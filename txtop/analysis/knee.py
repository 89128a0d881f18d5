"""Where more load buys waiting and little else: the knee of every server that was swept."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from txtop.analysis import metrics, serving
from txtop.plan.cell import Cell
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.queueing import find_knee
from txtop.stats.summary import PERCENTILE_FLOORS

MIN_LOADS = 3
# With fewer answers not even a median is stated.
MIN_ANSWERS = PERCENTILE_FLOORS[50]


def compute_offered_rate(state: CellState) -> float | None:
    """Requests a second that were meant to come; null where clients asked, or before it began."""
    return state.served.offered.rate if state.served.offered else None


def compute_answered_rate(state: CellState) -> float | None:
    """Requests a second that were answered."""
    return serving.summarise_rate(state, "requests_per_s").mean


def find_knees(session: SessionState) -> dict[Cell, CellState]:
    """The knee of every server (`cell.server`) with three loads or more; no server of which a load
    is still to come, for its knee would be the last one again and again."""
    servers: dict[Cell, list[CellState]] = {}
    for state in session.cells.values():
        if state.cell.serving is not None:
            servers.setdefault(state.cell.server, []).append(state)
    found = {}
    for server, states in servers.items():
        done = session.ended is not None or all(state.over for state in states)
        if done and (best := _knee(states)) is not None:
            found[server] = best
    return found


def _knee(states: Iterable[CellState]) -> CellState | None:
    """Of loads that came at a rate, which is what they were answered at where they do not saturate
    the server, and which has no noise; where there was none, of clients.

    The two are no one curve: clients that wait for their answer do not queue.
    """
    known = [state for state in states if _counts(state)]
    at_a_rate = [state for state in known if compute_offered_rate(state) is not None]
    swept = at_a_rate or known
    calm = [state for state in swept if not state.saturated]
    if len(swept) < MIN_LOADS or not calm:
        return None
    rates = [compute_offered_rate(state) or compute_answered_rate(state) or 0.0 for state in calm]
    place = find_knee(rates, [fmean(metrics.compute_values(state, "e2e_ms")) for state in calm])
    return None if place is None else calm[place]


def _counts(state: CellState) -> bool:
    enough = len(state.samples.kept()) >= MIN_ANSWERS
    return state.status == "ok" and not state.invalid and enough
