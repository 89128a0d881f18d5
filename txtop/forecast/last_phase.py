"""The phase of a run after its last cell, and the time that it has left.

A run of a matrix then compares outputs and times the GPU: minutes in which no cell is at work.
"""

from __future__ import annotations

import math

from txtop.forecast.edge import choose_next_probe
from txtop.state import accuracy
from txtop.state.pending_work import (
    find_pending_answers,
    find_pending_comparisons,
    find_pending_explanations,
    find_pending_profiles,
)
from txtop.state.session import SessionState
from txtop.units import NS_PER_S


def is_last_phase(state: SessionState) -> bool:
    """Return whether every cell is over and the session is not; an A/B compares outputs first.

    A search has a probe to come between its probes.
    """
    cells, search = state.cells.values(), state.plan.edge_search
    return (
        bool(cells)
        and state.ended is None
        and state.ab_test is None
        and all(cell.over for cell in cells)
        and (search is None or choose_next_probe(state, search) is None)
    )


def count_pending_work(state: SessionState) -> tuple[int, int, int]:
    """Count the comparisons, the tasks to answer and the timings of the GPU to come.

    It looks at all pairs of cells.
    """
    pairs = find_pending_comparisons(state)
    comparisons = sum((cell.id, best.id) not in state.fidelity for best, cell in pairs)
    tasks = sum(
        (cell.id, task.name) not in state.answered for cell, task in find_pending_answers(state)
    )
    return comparisons, tasks, len(find_pending_profiles(state))


def describe_last_phase(state: SessionState, pending: tuple[int, int, int]) -> tuple[str, ...]:
    """Return the phase in words, from the longest form to the shortest.

    `pending` is `count_pending_work`, which changes with each comparison, task and timing.
    """
    comparisons, tasks, timings = pending
    if comparisons:
        return _describe_comparisons(state, comparisons)
    if tasks and state.answering is not None:
        at = accuracy.describe_progress(state, *state.answering)
        return f"{at}, {tasks} to go", at, "answering"
    if tasks:
        return f"answering tasks, {tasks} to go", "answering"
    if timings:
        return f"timing the GPU, {timings} to go", "timing the GPU"
    if find_pending_explanations(state):
        return "explaining where the time goes", "explaining"
    return "closing the session", "closing"


def _describe_comparisons(state: SessionState, pending: int) -> tuple[str, ...]:
    """Describe which comparison goes on, and how long they will all take at the pace so far."""
    began_ns = max(cell.ended_at_ns for cell in state.cells.values())
    done = sum(at_ns >= began_ns for at_ns in state.compared_at_ns.values())
    at = state.comparing
    count = f"{done + 1}/{done + pending}"
    spent_s = (state.clock_ns - began_ns) / NS_PER_S
    finished = done + (at.done / at.total if at is not None and at.total else 0.0)
    short = f"comparing {count}"
    if finished <= 0 or spent_s <= 0:
        return f"comparing outputs {count}", short
    left_s = spent_s / finished * (done + pending - finished)
    return f"comparing outputs {count}, {format_seconds_left(left_s)}", short


def format_seconds_left(left_s: float) -> str:
    """Format the seconds that are left in words."""
    return f"{format_about(left_s)} left"


def format_about(seconds: float) -> str:
    """Format seconds in words, rounded up to 5 s, and to a minute from 90 s on."""
    if seconds < 90:
        return f"about {max(1, math.ceil(seconds / 5)) * 5} s"
    return f"about {math.ceil(seconds / 60)} min"
