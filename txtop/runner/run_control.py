"""Requests to a run in progress: stop, skip, pause, a marker, its status."""

from __future__ import annotations

import os

from txtop.protocol import events
from txtop.runner import control_protocol
from txtop.runner.control_server import ControlAnswer
from txtop.runner.recorder import Recorder, now_ns


class RunControl:
    """Hold what was requested. Requests are handled on the I/O thread, the main thread reads them.

    `skip_of` is the cell that was shown as a skip came, None without one. `stops` counts requests
    to stop: the first takes effect after the current step, or after a few seconds if that takes
    longer; the second kills the worker.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.stops = 0
        self.skip = False
        self.skip_of: str | None = None
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

    def _skip(self) -> None:
        """Skip the cell that the screen shows: the current one."""
        state = self._recorder.state
        place = state.cells[state.current].place if state.current is not None else ""
        obeys = self.lanes.get(place) or self
        obeys.skip_of, obeys.skip = state.current, True

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
            events.Control(t_ns=now_ns(), who=request.who, action=request.do, label=request.label)
        )
        if request.do == "marker":
            self._recorder.record(events.Marker(t_ns=now_ns(), label=request.label))
        elif request.do == "skip":
            self._skip()
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


class LaneControl:
    """The requests as one lane sees them: stops and pauses are those of the run, a skip its own."""

    def __init__(self, control: RunControl) -> None:
        self._control = control
        self.skip = False
        self.skip_of: str | None = None

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
