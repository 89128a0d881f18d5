"""Fold the events of profiled passes, which come once a cell is over and change nothing of it."""

from __future__ import annotations

from txtop.protocol import events
from txtop.state.session import SessionState


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
