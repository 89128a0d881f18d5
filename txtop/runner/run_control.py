"""Requests to a run in progress: stop, skip, pause, a marker, its status."""

from __future__ import annotations

import os

from txtop.protocol import events
from txtop.runner import control_protocol
from txtop.runner.control_server import ControlAnswer
from txtop.runner.recorder import Recorder, now_ns


class SkipRequest:
    """Hold a skip that was requested: of the candidate `skip_of` of a race, else of all at work."""

    def __init__(self) -> None:
        self.skip = False
        self.skip_of: str | None = None

    def skips(self, name: str) -> bool:
        """Return whether the skip ends the cell `name`, if that is at work."""
        return self.skip and self.skip_of in (None, name)


class RunControl(SkipRequest):
    """Hold what was requested. Requests are handled on the I/O thread, the main thread reads them.

    `stops` counts requests to stop: the first takes effect after the current step, or after a few
    seconds if that takes longer; the second kills the worker.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self.stops = 0
        self.paused = False
        self.lanes: dict[str, LaneControl] = {}
        self.ended = False
        self.heartbeat_ns = now_ns()

    def stop(self, who: str) -> None:
        """Ask for the end of the run."""
        self.stops += 1
        self._recorder.record(events.Control(t_ns=now_ns(), who=who, action="stop"))

    def abandon(self) -> None:
        """End every lane and its worker at once, without the word of a person."""
        self.stops = max(self.stops, 2)

    def open_lane(self, place: str) -> LaneControl:
        """Return what the lane of `place` obeys."""
        lane = self.lanes[place] = LaneControl(self)
        return lane

    def _skip(self, on_screen: str) -> None:
        """Skip the cell that the screen shows, which may be over by now; else the current one."""
        state = self._recorder.state
        name = on_screen if on_screen in state.cells else state.current
        cell = state.cells[name] if name is not None else None
        obeys = self.lanes.get(cell.place if cell is not None else "") or self
        why = ""
        if cell is not None and cell.over and not state.takes_turns:
            why = "what it was meant for was over"
        elif obeys.skip and obeys.skip_of not in (None, name):
            # What is cut off by a skip has to be what leaves by it.
            why = "another skip is under way"
        if why:
            text = f"nothing was skipped: {why}"
            return self._recorder.record(events.Log(t_ns=now_ns(), text=text))
        obeys.skip_of = name if state.race is not None else None
        obeys.skip = True

    def handle(self, request: control_protocol.ControlRequest) -> ControlAnswer:
        """Carry out one request of a screen or a command, and return the answer to it."""
        if request.do == "status":
            return self.status()
        if request.do == "tail":
            return self._recorder.writer.unwritten(request.after)
        if self.ended:
            return {"ok": False}
        if request.do == "stop":
            self.stop(request.who)
            return {"ok": True}
        self._recorder.record(
            events.Control(
                t_ns=now_ns(),
                who=request.who,
                action=request.do,
                label=request.label,
                cell=request.cell if request.cell in self._recorder.state.cells else None,
            )
        )
        if request.do == "marker":
            self._recorder.record(events.Marker(t_ns=now_ns(), label=request.label))
        elif request.do == "skip":
            self._skip(request.cell)
        else:
            self.paused = request.do == "pause"
        return {"ok": True}

    def status(self) -> control_protocol.RunnerStatus:
        """Return the state of the run and of its recording."""
        writer = self._recorder.writer
        return control_protocol.RunnerStatus(
            pid=os.getpid(),
            state="ended" if self.ended else "stopping" if self.stops else "running",
            last_seq=writer.last_seq,
            buffered_bytes=writer.buffered_bytes,
            dropped=writer.dropped,
            write_error=writer.write_error,
            durability_lost=writer.durability_lost,
            paused=self.paused,
            heartbeat_ns=self.heartbeat_ns,
        )


class LaneControl(SkipRequest):
    """The requests as one lane sees them: stops and pauses are those of the run, a skip its own."""

    def __init__(self, control: RunControl) -> None:
        super().__init__()
        self._control = control

    @property
    def stops(self) -> int:
        """Return how often the run was asked to stop."""
        return self._control.stops

    @property
    def paused(self) -> bool:
        """Return whether the run is paused."""
        return self._control.paused

    def stop(self, who: str) -> None:
        """Ask for the end of the run."""
        self._control.stop(who)

    def abandon(self) -> None:
        """End every lane and its worker at once."""
        self._control.abandon()
