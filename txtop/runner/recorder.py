"""The one place where an event becomes part of the session: numbered, queued for disk, folded."""

from __future__ import annotations

import threading
import time

from txtop import events
from txtop.events import AnyEvent
from txtop.sanitise import sanitise
from txtop.session.write import LogWriter
from txtop.state import SessionState


class Recorder:
    """Used from the conductor's thread and from the wires'; both see events in the log's order."""

    def __init__(self, writer: LogWriter) -> None:
        self.writer = writer
        self.state = SessionState()
        self._guard = threading.Lock()

    def record(self, event: AnyEvent) -> None:
        """Makes foreign text in `event` inert and adds it to log and state."""
        _clean(event)
        with self._guard:
            self.state.fold(self.writer.record(event))

    def warn(self, text: str) -> None:
        """Adds a line for a person."""
        self.record(events.Log(t_ns=now_ns(), text=text[:10_000], level="warning"))


def now_ns() -> int:
    return time.perf_counter_ns()


def _clean(event: AnyEvent) -> None:
    match event:
        case events.CellFinished():
            event.stderr = [sanitise(line, 500) for line in event.stderr]
            event.reason = sanitise(event.reason)
            event.hint = sanitise(event.hint)
        case events.CellRejected():
            event.reason = sanitise(event.reason)
            event.hint = sanitise(event.hint)
        case events.Log():
            event.text = sanitise(event.text)
        case events.Load() | events.Workload():
            event.notes = [sanitise(note) for note in event.notes]
        case events.Control() | events.Marker():
            event.label = sanitise(event.label, 200)
        case events.Block():
            event.reasons = [sanitise(reason, 200) for reason in event.reasons]
        case events.Gap():
            event.reason = sanitise(event.reason)
        case events.Telemetry():
            event.label = sanitise(event.label, 200)
        case _:
            return
