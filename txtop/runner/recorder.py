"""The one place where an event enters the session: numbered, queued for disk, and folded."""

from __future__ import annotations

import threading
import time

import msgspec

from txtop.plan.option_names import spell_options, takes_lists
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.sanitise import sanitise
from txtop.session.writer import LogWriter
from txtop.state.fold import fold
from txtop.state.session import SessionState

RUNNER = "runner"


class Recorder:
    """Record events in the log and in the state, in the same order.

    Used from the main thread and the I/O thread. `before` is the state of a session to resume.
    """

    def __init__(self, writer: LogWriter, before: SessionState | None = None) -> None:
        self.writer = writer
        self.state = before or SessionState()
        self._guard = threading.Lock()
        self._dropped = 0
        self._last_ns = 0
        self._lists = before is None or before.header is None or takes_lists(before.header.plan)
        writer.last_seq = self.state.last_seq

    def record(self, event: AnyEvent) -> None:
        """Make foreign text in `event` inert, and add the event to log and state.

        Options in its texts are those of the command that made the plan.
        """
        if isinstance(event, events.SessionHeader):
            self._lists = takes_lists(event.plan)
        _clean(event)
        _spell(event, lists=self._lists)
        with self._guard:
            self._record_dropped()
            # Both threads record events of the runner, whose times must not go back.
            if event.src == RUNNER:
                event.t_ns = self._last_ns = max(event.t_ns, self._last_ns)
            fold(self.state, self.writer.record(event))

    def _record_dropped(self) -> None:
        """Record the loss of events, once the log can be written again."""
        lost = self.writer.dropped - self._dropped
        if lost and self.writer.write_error is None:
            self._dropped += lost
            reason = f"{lost} events are lost: the log could not be written"
            gap = events.Gap(t_ns=now_ns(), producer="runner", reason=reason)
            fold(self.state, self.writer.record(gap))

    def warn(self, text: str) -> None:
        """Record a warning for a person."""
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
        case events.ModelLoaded() | events.Workload():
            event.notes = [sanitise(note) for note in event.notes]
        case events.Control() | events.Marker():
            event.label = sanitise(event.label, 200)
        case events.DisturbedBlock() | events.ABBlock():
            event.reasons = [sanitise(reason, 200) for reason in event.reasons]
        case events.Fidelity():
            event.failed = sanitise(event.failed, 400)
            event.notes = [sanitise(note, 400) for note in event.notes]
            if event.texts is not None:
                common, reference, own = (sanitise(text, 400) for text in event.texts)
                event.texts = common, reference, own
        case events.TaskAnswered():
            event.failed = sanitise(event.failed, 400)
            event.notes = [sanitise(note, 400) for note in event.notes]
        case events.TaskAnswers():
            event.answers = [sanitise(text, 400) for text in event.answers]
        case events.TaskQuestions():
            event.asked = [sanitise(text, 400) for text in event.asked]
            event.right = [sanitise(text, 400) for text in event.right]
        case events.DeviceTime():
            event.failed = sanitise(event.failed, 400)
        case events.Explanation():
            event.failed = sanitise(event.failed, 400)
            event.notes = [sanitise(note, 400) for note in event.notes]
            event.phases = [_clean_phase(phase) for phase in event.phases]
        case events.TraceSlices():
            event.names = [sanitise(name, 200) for name in event.names]
        case events.Isolation():
            event.failed = sanitise(event.failed, 400)
        case events.Gap():
            event.reason = sanitise(event.reason)
        case events.Telemetry():
            event.label = sanitise(event.label, 200)
        case _:
            return


def _spell(event: AnyEvent, *, lists: bool) -> None:
    """Name the options in refusals, failures and notes as the command of the plan takes them."""
    match event:
        case events.CellFinished() | events.CellRejected():
            event.reason = spell_options(event.reason, lists=lists)
            event.hint = spell_options(event.hint, lists=lists)
        case events.ModelLoaded() | events.Workload():
            event.notes = [spell_options(note, lists=lists) for note in event.notes]
        case events.Fidelity() | events.TaskAnswered():
            event.failed = spell_options(event.failed, lists=lists)
            event.notes = [spell_options(note, lists=lists) for note in event.notes]
        case _:
            return


def _clean_phase(phase: events.PhaseExplanation) -> events.PhaseExplanation:
    """Make the names inert that a model's own code gives its modules and operators."""
    rename = msgspec.structs.replace
    return rename(
        phase,
        modules=[rename(one, path=sanitise(one.path, 400)) for one in phase.modules],
        operators=[rename(one, name=sanitise(one.name, 200)) for one in phase.operators],
        kernels=[rename(one, name=sanitise(one.name, 200)) for one in phase.kernels],
        sync_sites=[sanitise(path, 400) for path in phase.sync_sites],
    )
