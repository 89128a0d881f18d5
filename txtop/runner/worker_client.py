"""The client of the workers: it sends commands, one at a time, and waits for the answers.

Used by the main thread; with several places each lane has one of its own, used by its thread.
"""

from __future__ import annotations

import itertools
import math
import queue
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from txtop.models import model_config
from txtop.models.absent_models import explain_absent, needs_hub
from txtop.models.precision_needs import explain_unavailable
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands, events
from txtop.protocol.commands import WorkerCommand
from txtop.protocol.events import AnyEvent, CellStatus, Role
from txtop.runner import child_process
from txtop.runner.child_process import ChildProcess
from txtop.runner.deadline import SILENCE_S, Deadline
from txtop.runner.io_loop import IoLoop
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.run_control import LaneControl, RunControl
from txtop.runner.sampler_supervisor import SamplerSupervisor
from txtop.state.session import HOST
from txtop.system import gpus, process_activity
from txtop.system.process_activity import ActivityWatch

POLL_S = 0.2
# The open iteration is discarded anyway, and the prefill of a probe at the edge can take minutes.
STOP_GRACE_S = 5.0

# (child, event), (child, None) at the end of its output, (None, its words) for a signal, and
# (None, error) if the I/O loop broke.
ChildMessage = tuple[ChildProcess | None, AnyEvent | Exception | str | None]


class WorkerDied(Exception):
    """The worker's output has ended."""


@dataclass
class StartedWorkers:
    """The part that all clients of a run share: numbers of workers, and if the Hub is `offline`."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    offline: bool = False


class CellEnded(Exception):
    """The cell ended before its time.

    `stopped_by` is "stop" or "skip" if a person asked for it, else empty.
    """

    def __init__(self, status: CellStatus, stopped_by: str = "", reason: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.stopped_by = stopped_by
        self.reason = reason


class WorkerClient:
    """Start workers, send them commands, and wait for their events.

    `inbox` is filled by the I/O thread and by signal handlers. `started` is what all clients of a
    run share. A worker that gives no sign of life for `silence_s` is given up; one that loads is
    looked at every `look_s`. The client of a lane has the `place` of its workers; the main one
    looks after the sampler as well.
    """

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        control: RunControl | LaneControl,
        worker: Sequence[str],
        started: StartedWorkers | None = None,
        silence_s: float = SILENCE_S,
        look_s: float = process_activity.INTERVAL_S,
    ) -> None:
        self.plan = plan
        self.recorder = recorder
        self.control = control
        self.inbox: queue.SimpleQueue[ChildMessage] = queue.SimpleQueue()
        self.place = ""
        self.started = started or StartedWorkers()
        self._command = worker
        self._silence_s, self._look_s = silence_s, look_s
        self.start_deadline(None)
        # How often the run was paused while this client waited.
        self.pauses = 0
        self._io_loop: IoLoop | None = None
        self._supervisor: SamplerSupervisor | None = None
        # In this run: what was refused in the one before may be here now.
        self.refused: set[str] = set()

    def connect(self, io_loop: IoLoop, supervisor: SamplerSupervisor) -> None:
        """Set what reads the children's pipes and what samples the machine, before any start."""
        self._io_loop, self._supervisor = io_loop, supervisor

    def open_lane(self, place: str, control: LaneControl) -> WorkerClient:
        """Return a client for a thread of its own, whose workers are in `place`."""
        assert self._io_loop is not None and self._supervisor is not None
        lane = WorkerClient(
            self.plan,
            self.recorder,
            control,
            self._command,
            self.started,
            self._silence_s,
            self._look_s,
        )
        lane.place = place
        lane.connect(self._io_loop, self._supervisor)
        return lane

    def start_worker(self, name: str = "", *, recorded: bool = True) -> ChildProcess:
        """Start a fresh worker, numbered without a `name`.

        Events of one that is not `recorded` come to the inbox alone.
        """
        assert self._io_loop is not None and self._supervisor is not None
        offline = {"HF_HUB_OFFLINE": "1"} if self.started.offline else {}
        name = name or f"worker:{next(self.started.numbers)}"
        worker = child_process.start_child(name, self._command, offline)
        worker.inbox, worker.recorded = self.inbox, recorded
        self._io_loop.add(worker)
        self._supervisor.watch_worker(worker)
        return worker

    def load(self, worker: ChildProcess, cell: Cell) -> None:
        """Load the model of `cell`.

        Raises:
            CellEnded: the load failed, or the run was asked to stop or skip.
            WorkerDied: the worker died.
        """
        command = self.build_load(worker, cell)
        self.ask(worker, command, cell, events.ModelLoaded, killable=True)
        worker.loaded_group = cell.group
        load = self.recorder.state.cells[cell.id].load
        assert self._supervisor is not None
        if load is not None and (load.device_id or load.device == "cpu"):
            self._supervisor.watch_device(load.device_id or HOST)

    def build_load(self, worker: ChildProcess, cell: Cell) -> commands.LoadModel:
        """Build the command that loads the model of `cell` in this client's place."""
        search = self.plan.edge_search
        return commands.LoadModel(
            cell=cell.put_on(self.place),
            started_ns=worker.started_ns,
            seed=self.plan.seed,
            allowed=self.plan.allowed,
            limit_bytes=search.held_bytes if search is not None else None,
            nvtx=self.plan.nvtx,
        )

    def watch(self, worker: ChildProcess) -> ActivityWatch:
        """Return a watch of what `worker` does without a word, for `wait_for`."""
        return ActivityWatch(worker.process.pid, time.monotonic(), self._look_s)

    def iterate(
        self,
        worker: ChildProcess,
        cell: Cell,
        role: Role,
        count: int,
        batch: int | None = None,
        gives_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Run `count` iterations, of prompts from number `batch` on.

        After the first iteration of a cell its kernels are inspected once. `gives_up` is as in
        `ask`.

        Raises:
            CellEnded: the cell failed, or the run was asked to stop or skip.
            WorkerDied: the worker died.
        """
        state = self.recorder.state.cells[cell.id]
        # The profiled pass takes memory of its own, which would end a probe at the edge.
        is_inspected = self.plan.edge_search is None
        if is_inspected and role != "first" and state.kernels is None:
            self.ask(worker, commands.Inspect(cell=cell.id), cell, events.Kernels)
        index = len(state.samples)
        command = commands.Iterate(cell=cell.id, role=role, index=index, count=count, batch=batch)
        self.ask(worker, command, cell, events.Iteration, count=count, gives_up=gives_up)

    # Limits and ends of a cell

    def start_deadline(self, timeout_s: float | None) -> None:
        """Give the workers `timeout_s` from now on, None for no limit."""
        self._deadline = Deadline(timeout_s, time.monotonic(), self._silence_s)

    def refuse(self, cell: Cell) -> bool:
        """Reject `cell` if config, libraries or device show that it cannot be measured.

        Return whether.
        """
        # A library can be installed, and a resumed session may be on another machine.
        if refusal := model_config.explain_refusal(cell):
            self.reject(cell, *refusal)
        elif refusal := (
            explain_absent(cell)
            or gpus.refuse_absent_device(cell.device)
            or explain_unavailable(cell)
        ):
            self.reject(cell, *refusal, may_pass=True)
        return refusal is not None

    def refuse_absent(self, cells: Collection[Cell]) -> None:
        """Reject the `cells` whose model, or assistant, the Hub or its cache does not have.

        A worker finds out, without torch: nothing of it is recorded but that. Names that this
        machine knows itself are not looked for.
        """
        asked = {(c.model, c.assistant): c for c in cells if needs_hub(c)}
        absent: dict[tuple[str, str], events.CellRejected] = {}
        if not asked:
            return
        worker = self.start_worker("finder", recorded=False)
        self.start_deadline(self.plan.timeout_s)
        try:
            for names, cell in asked.items():
                worker.send(commands.Find(cell=cell, allowed=self.plan.allowed))
                if (refused := self._await_finding(worker)) is not None:
                    absent[names] = refused
        except WorkerDied:
            # What is wrong with it ends a load as well, which says so.
            pass
        finally:
            worker.end(0.1)
        for cell in cells:
            if (why := absent.get((cell.model, cell.assistant))) is not None:
                self.reject(cell, why.reason, why.hint, may_pass=why.may_pass)

    def _await_finding(self, worker: ChildProcess) -> events.CellRejected | None:
        """Return the refusal of `worker`; None if it found the models, or time is up."""
        while not self.control.stops and not self._deadline.explain_expiry(time.monotonic()):
            event = self.receive(worker)
            if isinstance(event, events.Log) and event.text == model_config.OFFLINE_NOTICE:
                self.started.offline = True
                self.recorder.record(event)
            elif isinstance(event, events.CellRejected):
                return event
            elif isinstance(event, events.CellFinished | events.Phase):
                return None
        return None

    def reject(self, cell: Cell, reason: str, hint: str, *, may_pass: bool = False) -> None:
        self.refused.add(cell.id)
        self.recorder.record(
            events.CellRejected(
                t_ns=now_ns(), cell=cell.id, reason=reason, hint=hint, may_pass=may_pass
            )
        )

    def finish(self, cell: Cell, status: CellStatus, **facts: Any) -> None:
        """Record the end of `cell`. The skip that it ends by is done with."""
        if facts.get("stopped_by") == "skip":
            self.control.skip = False
        self.recorder.record(
            events.CellFinished(t_ns=now_ns(), cell=cell.id, status=status, **facts)
        )

    # Waiting

    def wait_while_paused(self, worker: ChildProcess, name: str = "") -> None:
        """Wait until the run is no longer paused. Count in `pauses` that it was.

        Raises:
            CellEnded: the run was asked to stop, or to skip the candidate `name` or all at work.
        """
        since_s = time.monotonic()
        waited = False
        while self.control.paused and not self.control.stops and not self.control.skips(name):
            waited = True
            self.receive(worker)
        self.pauses += waited
        self._deadline.extend(time.monotonic() - since_s)
        self.raise_if_ended(name)

    def drop_late_skip(self) -> None:
        """Forget a skip that came when nothing was left to skip, and say so."""
        if self.control.skip:
            self.control.skip = False
            text = "nothing was skipped: the skip came too late"
            self.recorder.record(events.Log(t_ns=now_ns(), text=text))

    def raise_if_ended(self, name: str = "") -> None:
        """Check for requests to stop, or to skip the candidate `name` or all at work.

        Raises:
            CellEnded: there is one.
        """
        if self.control.stops:
            raise CellEnded("cancelled", "stop")
        if self.control.skips(name):
            raise CellEnded("skipped", "skip")

    def ask(
        self,
        worker: ChildProcess,
        command: WorkerCommand,
        cell: Cell,
        answer: type[AnyEvent],
        *,
        count: int = 1,
        killable: bool = False,
        gives_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send a command and wait for `count` answers of the type `answer`.

        Each is no more waited for once `gives_up` returns True; the worker goes on with it.

        With `killable` a stop or a skip kills the worker: a load has no steps to cancel between.
        It has no events either, so a worker that works in silence then counts as alive.

        Raises:
            CellEnded: the cell failed or timed out, or the run was asked to stop or skip.
            WorkerDied: the worker died.
        """
        worker.send(command)
        watch = self.watch(worker) if killable else None
        for _ in range(count):
            self.wait_for(
                worker, cell, lambda event: isinstance(event, answer) or gives_up(), watch=watch
            )

    def cancel(self, worker: ChildProcess, cell: Cell, grace_s: float = math.inf) -> None:
        """Cancel what the worker does for `cell`, and wait until it has; kill it after `grace_s`.

        Raises:
            CellEnded: the cell failed or timed out, or the run was asked to stop or skip.
            WorkerDied: the worker died.
        """
        worker.send(commands.Cancel(cell=cell.id))
        since_s = time.monotonic()

        def is_over(event: AnyEvent | None) -> bool:
            if time.monotonic() - since_s > grace_s:
                worker.signal(signal.SIGKILL)
            return isinstance(event, events.Phase)

        self.wait_for(worker, cell, is_over)

    def extend_deadline(self, seconds: float) -> None:
        """Extend the deadline by a pause."""
        self._deadline.extend(seconds)

    def wait_for(
        self,
        worker: ChildProcess,
        cell: Cell,
        is_over: Callable[[AnyEvent | None], bool],
        *,
        watch: ActivityWatch | None = None,
    ) -> None:
        """Wait until `is_over` returns True for an event of `cell`.

        It is called with None as well, at least five times a second. With a `watch` of the worker
        it may be killed, and lives as long as it works. A worker that is not done with its step
        `STOP_GRACE_S` after a stop is killed.

        Raises:
            CellEnded: the cell failed or timed out, or the run was asked to stop or skip.
            WorkerDied: the worker died.
        """
        cancelled = False
        cancelled_s = 0.0
        while True:
            ends = self.control.stops or self.control.skips(cell.id)
            is_late = cancelled and time.monotonic() - cancelled_s > STOP_GRACE_S
            stops_now = self.control.stops > 1 or (self.control.stops and is_late)
            if stops_now or (watch is not None and ends):
                worker.signal(signal.SIGKILL)
                worker.loaded_group = None
                self.raise_if_ended(cell.id)
            if ends and not cancelled:
                cancelled, cancelled_s = True, time.monotonic()
                worker.send(commands.Cancel(cell=cell.id))
            event = self.receive(worker)
            if watch is not None:
                self._follow_load(watch, cell, event)
            reason = self._deadline.explain_expiry(time.monotonic())
            if reason:
                raise CellEnded("timeout", reason=reason)
            if event is None or getattr(event, "cell", None) != cell.id:
                if not cancelled and is_over(None):
                    return
                continue
            if isinstance(event, events.CellRejected | events.CellFinished):
                raise CellEnded(
                    event.status if isinstance(event, events.CellFinished) else "failed"
                )
            if cancelled and isinstance(event, events.Phase) and event.name == "idle":
                self.raise_if_ended(cell.id)
            if not cancelled and is_over(event):
                return

    def _follow_load(self, watch: ActivityWatch, cell: Cell, event: AnyEvent | None) -> None:
        """Keep a worker alive that works in silence, and record what it read and computed."""
        if isinstance(event, events.Progress) and event.what == "load":
            watch.count_from_here()
        if not watch.has_worked(time.monotonic()):
            return
        self._deadline.note_sign_of_life(time.monotonic())
        state = self.recorder.state
        # A comparison loads a cell that is over, and a download counts its own bytes.
        if cell.id not in state.working or state.cells[cell.id].phase == "resolve":
            return
        before = state.cells[cell.id].progress
        total = before.total if before is not None and before.what == "load" else None
        done = watch.done_bytes if total is None else min(watch.done_bytes, total)
        self.recorder.record(
            events.Progress(
                t_ns=now_ns(), cell=cell.id, what="load", done=done, total=total, cpu_s=watch.cpu_s
            )
        )

    def receive(self, worker: ChildProcess | None, timeout_s: float = POLL_S) -> AnyEvent | None:
        """Return the next event of `worker`, None after a short wait without one.

        Raises:
            WorkerDied: the worker's output has ended.
        """
        assert self._supervisor is not None
        if isinstance(self.control, RunControl):
            self.control.heartbeat_ns = now_ns()
            self._supervisor.supervise()
        if worker is not None and worker.gone:
            raise WorkerDied
        try:
            child, event = self.inbox.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        if child is None or isinstance(event, str):
            self.control.stop(str(event))
            return None
        if event is None:
            child.gone = True
            if self._supervisor.owns(child):
                self._supervisor.handle_exit()
        if child is not worker:
            return None
        if event is None:
            raise WorkerDied
        self._deadline.note_sign_of_life(time.monotonic())
        return event
