"""Fold what is found of measured cells: their outputs compared, and profiled passes."""

from __future__ import annotations

from dataclasses import replace

from txtop.plan import references
from txtop.protocol import events
from txtop.state import fidelity
from txtop.state.session import INVALID_OUTPUT, SessionState


def fold_fidelity_progress(session: SessionState, event: events.FidelityProgress) -> None:
    """Keep how far a comparison is."""
    if {event.cell, event.reference} <= session.cells.keys():
        at = session.comparing
        if at is None or (at.cell, at.reference) != (event.cell, event.reference):
            session.comparing_from_ns = session.clock_ns
        session.comparing = event
        # Arms are compared before the first of them starts, and no phase tells of it.
        session.first_cell_ns = session.first_cell_ns or session.clock_ns
        session.first_to_device_ns = session.first_to_device_ns or session.clock_ns


def fold_fidelity(session: SessionState, event: events.Fidelity) -> None:
    """Keep what a comparison found; invalid output withdraws what was said of the cell."""
    if not {event.cell, event.reference} <= session.cells.keys():
        return
    session.comparing = None
    session.fidelity[event.cell, event.reference] = event
    session.compared_at_ns[event.cell, event.reference] = session.clock_ns
    precision = session.cells[event.reference].cell.precision
    random = session.has_random_weights(event.cell)
    badge = fidelity.format_badge_forms(event, random=random)[0]
    session.say(f"output against {precision}: {badge}", cell=event.cell)
    if not event.invalid:
        return
    session.withdraw(event.cell, INVALID_OUTPUT)
    target = session.cells[event.cell].cell
    for name, state in session.cells.items():
        if references.has_same_output(state.cell, target):
            session.cells[name] = replace(state, invalid=state.invalid + event.invalid)


def fold_device_time(session: SessionState, event: events.DeviceTime) -> None:
    """Keep the time of the GPU in a step; say why there is none."""
    if event.cell not in session.cells:
        return
    session.device_times[event.cell] = event
    if event.failed:
        session.say(f"no time of the GPU: {event.failed}", "warning", event.cell)


def fold_explanation(session: SessionState, event: events.Explanation) -> None:
    """Keep where the time of a step goes; say why that is not known."""
    if event.cell not in session.cells:
        return
    session.explanations[event.cell] = event
    if event.failed:
        session.say(f"not explained: {event.failed}", "warning", event.cell)
    for note in event.notes:
        session.say(note, cell=event.cell)


def fold_trace(session: SessionState, event: events.TraceSlices) -> None:
    """Keep the slices of a profiled step."""
    if event.cell in session.cells:
        session.traces[event.cell, event.phase] = event
