"""Conduct a run: start the sampler, measure, record the end. Runs in the main thread.

The order of cells is that of `MatrixRun`, `LanesRun`, `ABRun`, `FitRun`, `TuneRun`, `FidelityRun`,
`AccuracyRun` and `PassRun`; asking workers is `WorkerClient`'s.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from txtop import stats
from txtop.analysis.contention import describe_busy_start
from txtop.models import model_config
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.runner import machine_info, session_start
from txtop.runner.ab_run import ABRun
from txtop.runner.child_process import SAMPLER_COMMAND, WORKER_COMMAND, ChildProcess
from txtop.runner.deadline import SILENCE_S
from txtop.runner.fit_run import FitRun
from txtop.runner.io_loop import IoLoop
from txtop.runner.lanes import LanesRun
from txtop.runner.matrix_run import MatrixRun
from txtop.runner.output_run import AccuracyRun, FidelityRun
from txtop.runner.profile_run import ExplainRun, ProfileRun
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.run_control import RunControl
from txtop.runner.sampler_supervisor import SamplerSupervisor
from txtop.runner.tune_run import TuneRun
from txtop.runner.worker_client import StartedWorkers, WorkerClient
from txtop.session.reader import read_all
from txtop.session.writer import LogWriter
from txtop.state import pending_work
from txtop.state.fold import fold_all
from txtop.state.session import HOST, SessionState
from txtop.system import process_activity

IDLE_NS = 2_200_000_000
IDLE_TIMEOUT_S = 6.0

WORKER_EVENTS = (
    events.FidelityProgress,
    events.Fidelity,
    events.TaskQuestions,
    events.TaskAnswers,
    events.TaskAnswered,
    events.DeviceTime,
    events.Explanation,
    events.TraceSlices,
    events.CellRejected,
    events.Progress,
    events.Phase,
    events.ModelLoaded,
    events.DevicePeaks,
    events.Workload,
    events.Kernels,
    events.Speculation,
    events.TokenTimings,
    events.Iteration,
    events.Request,
    events.ServerStatus,
    events.Memory,
    events.CellFinished,
    events.Log,
)
UNSOLICITED_EVENTS = (
    events.Log,
    events.DevicePeaks,
    events.FidelityProgress,
    events.Fidelity,
    events.TaskQuestions,
    events.TaskAnswers,
    events.TaskAnswered,
    events.DeviceTime,
    events.Explanation,
    events.TraceSlices,
)

EndReason = Literal["done", "stopped", "failed"]


class Conductor:
    """Conduct one run of one plan.

    Without a plan, resume the session in `folder`: its own plan, and the cells that are missing.
    `silence_s` and `look_s` are those of `WorkerClient`.

    Raises:
        SessionError: the session to resume cannot be read.
        RunError: another process writes to it.
    """

    def __init__(
        self,
        plan: Plan | None,
        folder: Path,
        *,
        name: str | None = None,
        socket_path: Path | None = None,
        screens: dict[str, int] | None = None,
        worker: Sequence[str] = WORKER_COMMAND,
        sampler: Sequence[str] | None = SAMPLER_COMMAND,
        silence_s: float = SILENCE_S,
        look_s: float = process_activity.INTERVAL_S,
    ) -> None:
        writer = LogWriter(folder)
        before = fold_all(read_all(folder)[0]) if plan is None else SessionState()
        self.plan = before.plan if plan is None else plan
        self._resumes = plan is None
        self._folder, self._name = folder, name
        self._begun_ns = 0
        self._is_start_judged = False
        self.recorder = Recorder(writer, before)
        self.control = RunControl(self.recorder)
        numbers = (cell.worker.rpartition(":")[2] for cell in before.cells.values())
        last = max((int(number) for number in numbers if number.isdigit()), default=0)
        started = StartedWorkers(itertools.count(last + 1))
        self._client = WorkerClient(
            self.plan, self.recorder, self.control, worker, started, silence_s, look_s
        )
        self._io_loop = IoLoop(
            on_event=self._on_event,
            on_malformed=self._on_malformed,
            on_end=lambda child: self._deliver(child, None),
            on_request=self.control.handle,
            on_orphaned=lambda: self.control.stop("the end of the command that started it"),
            on_broken=lambda error: self._client.inbox.put((None, error)),
        )
        self._supervisor = SamplerSupervisor(sampler, screens or {}, self._io_loop, self.recorder)
        self._client.connect(self._io_loop, self._supervisor)
        if socket_path is not None:
            self._io_loop.serve(socket_path)

    def watch_lifeline(self, fd: int) -> None:
        """Stop the run when the other end of `fd` is closed."""
        self._io_loop.watch_lifeline(fd)

    def interrupt(self, signal_name: str) -> None:
        """Ask for a stop from a signal handler, which must not take a lock."""
        self._client.inbox.put((None, f"{signal_name} to the runner (pid {os.getpid()})"))

    # Events of children, on the I/O thread

    def _on_event(self, child: ChildProcess, event: AnyEvent) -> None:
        event.src = child.name
        if self._supervisor.owns(child):
            self._supervisor.note_output()
            if isinstance(event, events.Telemetry | events.Log | events.Gap):
                self.recorder.record(event)
            self._warn_if_busy()
            return
        if not isinstance(event, WORKER_EVENTS):
            self._on_malformed(child, f"{event.__struct_config__.tag} is not for a worker to say")
            return
        if not child.recorded:
            self._deliver(child, event)
            return
        if (
            not isinstance(event, UNSOLICITED_EVENTS)
            and event.cell not in self.recorder.state.working
        ):
            return
        if isinstance(event, events.Log) and event.text == model_config.OFFLINE_NOTICE:
            self._client.started.offline = True
        self.recorder.record(event)
        self._deliver(child, event)

    def _deliver(self, child: ChildProcess, event: AnyEvent | None) -> None:
        """Hand an event, or the end of the output, to the client that started `child`."""
        (child.inbox or self._client.inbox).put((child, event))

    def _warn_if_busy(self) -> None:
        """Record once, as soon as the first second was read, that others use the processor."""
        if self._is_start_judged:
            return
        line = describe_busy_start(self.recorder.state, self._begun_ns)
        self._is_start_judged = line is not None
        if line:
            self.recorder.warn(line)

    def _on_malformed(self, child: ChildProcess, reason: str) -> None:
        self.recorder.warn(f"{child.name} sent an invalid event: {reason}")

    # The run

    def run(self) -> tuple[EndReason, bool]:
        """Measure every cell. Return why the run ended, and whether everything is on disk."""
        if self._resumes:
            session_start.reopen_session(self.recorder)
        else:
            session_start.begin_session(self.recorder, self.plan, self._folder.name, self._name)
        self._begun_ns = self.recorder.state.clock_ns
        self._supervisor.start()
        reason: EndReason = "failed"
        try:
            if self._supervisor.started and machine_info.has_package_power():
                self._record_idle_power()
            self._measure()
            reason = "stopped" if self.control.stops else "done"
        finally:
            self._supervisor.end()
            self.recorder.record(
                events.SessionEnded(
                    t_ns=now_ns(),
                    reason=reason,
                    wall_s=time.time(),
                    statistics_version=stats.STATISTICS_VERSION,
                    sha256=self.recorder.writer.digest(),
                )
            )
            self.control.ended = True
            recorded = self.recorder.writer.close()
            self._io_loop.close()
        return reason, recorded

    def _measure(self) -> None:
        """Measure the missing cells, compare outputs and answer tasks (those of arms before they
        take turns), and read the times of the GPU.
        """
        missing = pending_work.find_missing_cells(self.recorder.state)
        outputs, answers = FidelityRun(self._client), AccuracyRun(self._client)
        profiles, explanations = ProfileRun(self._client), ExplainRun(self._client)
        others = (outputs, answers, profiles, explanations)
        if self.plan.edge_search is not None:
            FitRun(self._client, self.plan.edge_search).run()
        elif self.plan.tuning is not None:
            TuneRun(self._client, self.plan.tuning, outputs, answers).run()
        elif self.plan.places:
            lanes = {p: self._client.open_lane(p, self.control.open_lane(p))
                     for p in self.plan.places}  # fmt: skip
            LanesRun(self._client, lanes, others, missing).run()
        elif self.plan.margin is None:
            MatrixRun(self._client, others, missing).run()
        elif missing:
            arms = ABRun(self._client)
            arms.refuse()
            outputs.run()
            answers.run()
            arms.run()
            profiles.run()
        self._client.drop_late_skip()

    def _record_idle_power(self) -> None:
        """Leave the CPU idle until the sampler has recorded its idle power for 2.2 s."""
        devices = self.recorder.state.devices
        until_s = time.monotonic() + IDLE_TIMEOUT_S
        while time.monotonic() < until_s and not self.control.stops:
            self._client.receive(None)
            series = devices[HOST].series.get("power_w") if HOST in devices else None
            if series is not None and series[0][-1] - series[0][0] >= IDLE_NS:
                return
