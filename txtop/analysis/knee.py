"""Find the knee of every server that was swept: the load beyond which more load buys waiting.

Used by the serving table, the load curve and the trade-offs screen. Definition: docs/serving.md,
"Saturation, sweep, knee".
"""

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
    """Return the rate of intended arrivals in requests/s.

    None for closed-loop clients, and before the load has begun.
    """
    return state.served.offered.rate if state.served.offered else None


def compute_answered_rate(state: CellState) -> float | None:
    """Return the rate of answers in requests/s; None without an answer."""
    return serving.summarise_rate(state, "requests_per_s").mean


def find_knees(session: SessionState) -> dict[Cell, CellState]:
    """Return the cell at the knee of every server (`cell.server`) with three loads or more.

    A server with loads still to come is left out unless the session has ended: its knee would move
    to the newest load again and again.
    """
    servers: dict[Cell, list[CellState]] = {}
    for state in session.cells.values():
        if state.cell.serving is not None:
            servers.setdefault(state.cell.server, []).append(state)
    knees = {}
    for server, states in servers.items():
        done = session.ended is not None or all(state.over for state in states)
        if done and (best := _knee(states)) is not None:
            knees[server] = best
    return knees


def _knee(states: Iterable[CellState]) -> CellState | None:
    """Return the load at the knee; None if there are too few loads, or if all of them saturate.

    Loads at a rate are preferred: below saturation the offered rate is the answered rate, without
    noise. Closed-loop clients are used only if there are no others. The two are never mixed, for
    clients that wait for their answer do not queue.
    """
    usable = [state for state in states if _counts(state)]
    at_a_rate = [state for state in usable if compute_offered_rate(state) is not None]
    swept = at_a_rate or usable
    calm = [state for state in swept if not state.saturated]
    if len(swept) < MIN_LOADS or not calm:
        return None
    rates = [compute_offered_rate(state) or compute_answered_rate(state) or 0.0 for state in calm]
    place = find_knee(rates, [fmean(metrics.compute_values(state, "e2e_ms")) for state in calm])
    return None if place is None else calm[place]


def _counts(state: CellState) -> bool:
    """Return whether a load has a valid result from enough answers."""
    enough = len(state.samples.kept()) >= MIN_ANSWERS
    return state.status == "ok" and not state.invalid and enough
