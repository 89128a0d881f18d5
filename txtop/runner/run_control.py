"""What people ask of a run while it goes: stop, skip, pause, a marker; and what it answers."""

from __future__ import annotations

import os

from txtop.protocol import events
from txtop.runner import control_protocol
from txtop.runner.control_server import ControlAnswer
from txtop.runner.recorder import Recorder, now_ns


class RunControl:
    """Requests come on the thread of the wires; the main thread looks at what they left here.

    `stops` counts: once, after the step at hand; twice, the worker is killed.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.stops = 0
        self.skip = False
        self.paused = False
        self.ended = False
        self.heartbeat_ns = now_ns()

    def stop(self, who: str) -> None:
        """Asks for the end of the run."""
        self.stops += 1
        self._recorder.record(events.Control(t_ns=now_ns(), who=who, action="stop"))

    def handle(self, request: control_protocol.ControlRequest) -> ControlAnswer:
        """The answer to one request of a screen or a command."""
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
            self.skip = True
        else:
            self.paused = request.do == "pause"
        return {"ok": True}

    def status(self) -> control_protocol.RunnerStatus:
        """The state of the recording itself."""
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
