"""Conducts a run: groups, workers, cells, and what was asked meanwhile. Runs in the main thread."""

from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from txtop import events, models, orders, stats
from txtop.events import AnyEvent, Status
from txtop.plan import Cell, Plan, workload_hash
from txtop.runner import children, control, machine, memory_killer
from txtop.runner.children import SAMPLER, WORKER, Child
from txtop.runner.measure import Course
from txtop.runner.patience import Patience
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.watch import Watch
from txtop.runner.wires import Wires
from txtop.session.write import LogWriter

ANSWER_S = 0.2
GRACE_S = 1.0

FROM_WORKER = (
    events.CellRejected,
    events.Progress,
    events.Phase,
    events.Load,
    events.Workload,
    events.Kernels,
    events.Steps,
    events.Iteration,
    events.Memory,
    events.CellFinished,
    events.Log,
)

Reason = Literal["done", "stopped", "failed"]
# A child with its event, or with null when its output ended; a signal; what broke the wires.
_Item = tuple[Child | None, AnyEvent | Exception | None]


class _Gone(Exception):
    """The worker's output has ended."""


class _Over(Exception):
    """The cell is over before its time: its status, and who said so."""

    def __init__(self, status: Status, stopped_by: str = "", reason: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.stopped_by = stopped_by
        self.reason = reason


class Conductor:
    """One run of one plan. `run` returns why it ended and whether everything is on disk."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        *,
        name: str | None = None,
        socket_path: Path | None = None,
        screens: dict[str, int] | None = None,
        worker: Sequence[str] = WORKER,
        sampler: Sequence[str] | None = SAMPLER,
    ) -> None:
        self.plan = plan
        self._folder, self._name = folder, name
        self._worker_command = worker
        self.recorder = Recorder(LogWriter(folder))
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._stops = 0
        self._skip = False
        self._paused = False
        self._ended = False
        self._heartbeat_ns = now_ns()
        self._patience = Patience(None, time.monotonic())
        self._workers = 0
        self._offline = False
        self._wires = Wires(
            on_event=self._on_event,
            on_bad=self._on_bad,
            on_end=lambda child: self._inbox.put((child, None)),
            on_request=self._on_request,
            on_orphaned=lambda: self.stop("the command that started it is gone"),
            on_broken=lambda error: self._inbox.put((None, error)),
        )
        self._watch = Watch(sampler, screens or {}, self._wires, self.recorder)
        if socket_path is not None:
            self._wires.serve(socket_path)

    def watch_lifeline(self, fd: int) -> None:
        """Stops the run when nobody holds the other end of `fd` any more."""
        self._wires.watch_lifeline(fd)

    def interrupt(self) -> None:
        """Asks for a stop from a signal handler, which may hold no lock."""
        self._inbox.put((None, None))

    # What others ask, on the thread of the wires

    def stop(self, who: str) -> None:
        """Once: after the step at hand. Twice: the worker is killed."""
        self._stops += 1
        event = events.Control(t_ns=now_ns(), who=who, action="stop")
        self.recorder.record(event)

    def _on_event(self, child: Child, event: AnyEvent) -> None:
        event.src = child.name
        if self._watch.owns(child):
            if isinstance(event, events.Telemetry | events.Log | events.Gap):
                self.recorder.record(event)
            return
        if not isinstance(event, FROM_WORKER):
            self._on_bad(child, f"{event.__struct_config__.tag} is not for a worker to say")
            return
        if not isinstance(event, events.Log) and event.cell != self.recorder.state.current:
            return
        if isinstance(event, events.Log) and event.text == models.OFFLINE_NOTICE:
            self._offline = True
        self.recorder.record(event)
        self._inbox.put((child, event))

    def _on_bad(self, child: Child, why: str) -> None:
        self.recorder.warn(f"{child.name} said what is no event: {why}")

    def _on_request(self, request: control.Request) -> control.Status | dict[str, bool]:
        if request.do == "status":
            return self.status()
        if self._ended:
            return {"ok": False}
        if request.do == "stop":
            self.stop(request.who)
            return {"ok": True}
        self.recorder.record(
            events.Control(t_ns=now_ns(), who=request.who, action=request.do, label=request.label)
        )
        if request.do == "marker":
            self.recorder.record(events.Marker(t_ns=now_ns(), label=request.label))
        elif request.do == "skip":
            self._skip = True
        else:
            self._paused = request.do == "pause"
        return {"ok": True}

    def status(self) -> control.Status:
        """The state of the recording itself."""
        writer = self.recorder.writer
        return control.Status(
            pid=os.getpid(),
            state="ended" if self._ended else "stopping" if self._stops else "running",
            last_seq=writer.last_seq,
            buffered_bytes=writer.buffered_bytes,
            dropped=writer.dropped,
            write_error=writer.write_error,
            durability_lost=writer.durability_lost,
            paused=self._paused,
            heartbeat_ns=self._heartbeat_ns,
        )

    # The run

    def run(self) -> tuple[Reason, bool]:
        """Measures every cell. Returns (done | stopped | failed, everything is on disk)."""
        self._open()
        reason: Reason = "failed"
        try:
            for group in self.plan.groups:
                if not self._stops:
                    self._group(group)
            reason = "stopped" if self._stops else "done"
        finally:
            self._watch.end()
            self.recorder.record(
                events.Ended(
                    t_ns=now_ns(),
                    reason=reason,
                    wall_s=time.time(),
                    statistics_version=stats.VERSION,
                    sha256=self.recorder.writer.digest(),
                )
            )
            self._ended = True
            recorded = self.recorder.writer.close()
            self._wires.close()
        return reason, recorded

    def _open(self) -> None:
        wall_s, boot_id = time.time(), machine.boot_id()
        self.recorder.record(
            events.Header(
                t_ns=now_ns(),
                schema=events.SCHEMA,
                session=self._folder.name,
                name=self._name,
                wall_s=wall_s,
                plan=self.plan,
                workload_sha256=workload_hash(self.plan),
                machine=machine.machine(),
                versions=machine.versions(),
                seed=self.plan.seed,
                boot_id=boot_id,
            )
        )
        self.recorder.record(
            events.Segment(t_ns=now_ns(), boot_id=boot_id, wall_s=wall_s, pid=os.getpid())
        )
        self._watch.start()

    def _group(self, cells: list[Cell]) -> None:
        """Cells that share weights; a worker that died or failed to load is replaced."""
        worker: Child | None = None
        waiting = list(cells)
        try:
            while waiting and not self._stops:
                cell = waiting.pop(0)
                refused = models.refuse(cell)
                if refused:
                    self._reject(cell, *refused)
                    continue
                if worker is None:
                    worker = self._start_worker()
                worker, loaded = self._cell(worker, cell)
                if not loaded:
                    self._spread(cell, waiting)
                    break
        finally:
            if worker is not None:
                worker.end()

    def _spread(self, cell: Cell, others: list[Cell]) -> None:
        """What refused or broke the load of `cell` does so for every cell with the same weights."""
        known = self.recorder.state.cells[cell.id]
        for other in others:
            if known.rejected is not None:
                self._reject(other, known.rejected.reason, known.rejected.hint)
            elif known.finished is not None and known.status in ("oom", "failed", "timeout"):
                reason = f"the same weights as {cell.short}: {known.reason}"
                before = known.finished
                self._finish(other, before.status, reason=reason, phase=before.phase)

    def _reject(self, cell: Cell, reason: str, hint: str) -> None:
        self.recorder.record(
            events.CellRejected(t_ns=now_ns(), cell=cell.id, reason=reason, hint=hint)
        )

    def _finish(self, cell: Cell, status: Status, **facts: Any) -> None:
        self.recorder.record(
            events.CellFinished(t_ns=now_ns(), cell=cell.id, status=status, **facts)
        )

    def _cell(self, worker: Child, cell: Cell) -> tuple[Child | None, bool]:
        """Measures one cell. Returns the worker if it can go on, and whether its weights loaded."""
        state = self.recorder.state.cells[cell.id]
        self._skip = False
        shares = worker.loaded_group == cell.group
        started = events.CellStarted(
            t_ns=now_ns(), cell=cell.id, worker=worker.name, shares_weights=shares
        )
        self.recorder.record(started)
        course = Course(self.plan, state)
        self._patience = Patience(self.plan.timeout_s, time.monotonic())
        try:
            if not shares:
                self._load(worker, cell)
            worker.send(orders.Prepare(cell=cell))
            self._await(worker, cell, events.Workload)
            self._iterate(worker, cell, course)
            worker.send(orders.Finish(cell=cell.id))
            self._await(worker, cell, events.Memory)
        except _Over as over:
            if over.status == "timeout":
                self._lost(worker, cell, course, over.reason)
                return None, worker.loaded_group is not None
            if not state.over:
                n, stopped_by = course.measured, over.stopped_by
                self._finish(cell, over.status, stopped_by=stopped_by, n=n)
            usable = worker.loaded_group is not None and not worker.on_cuda
            usable = usable and state.status != "oom"
            if over.status in ("skipped", "cancelled"):
                usable = worker.loaded_group is not None
            if usable and worker.process.poll() is None and not self._stops:
                return worker, True
            worker.end(GRACE_S if self._stops < 2 else 0.1)
            return None, worker.loaded_group is not None or over.status == "skipped"
        except _Gone:
            self._died(worker, cell, course)
            return None, True
        if not state.over:
            self._finish(
                cell,
                "ok",
                stopped_by=course.stopped_by or "",
                n=course.measured,
                half_width=course.half_width(),
            )
        return worker, True

    def _load(self, worker: Child, cell: Cell) -> None:
        worker.send(
            orders.Load(
                cell=cell,
                started_ns=worker.started_ns,
                seed=self.plan.seed,
                allowed=self.plan.allowed,
            )
        )
        self._await(worker, cell, events.Load, killable=True)
        load = self.recorder.state.cells[cell.id].load
        worker.loaded_group = cell.group
        worker.on_cuda = load is not None and load.device.startswith("cuda")

    def _iterate(self, worker: Child, cell: Cell, course: Course) -> None:
        while (block := course.next_block()) is not None:
            self._wait_while_paused(worker)
            role, count = block
            if role != "first" and self.recorder.state.cells[cell.id].kernels is None:
                worker.send(orders.Inspect(cell=cell.id))
                self._await(worker, cell, events.Kernels)
            index = len(self.recorder.state.cells[cell.id].samples)
            worker.send(orders.Iterate(cell=cell.id, role=role, index=index, count=count))
            for _ in range(count):
                self._await(worker, cell, events.Iteration)

    def _wait_while_paused(self, worker: Child) -> None:
        since_s = time.monotonic()
        while self._paused and not self._stops and not self._skip:
            self._take(worker)
        self._patience.waited(time.monotonic() - since_s)
        self._check()

    def _check(self) -> None:
        if self._stops:
            raise _Over("cancelled", "stop")
        if self._skip:
            raise _Over("skipped", "skip")

    # Waiting for the worker

    def _await(
        self, worker: Child, cell: Cell, wanted: type[AnyEvent], *, killable: bool = False
    ) -> None:
        """Until the worker answers with `wanted`. Raises `_Over` or `_Gone`.

        A load cannot be cancelled between steps, so on a stop or skip its worker is killed.
        """
        cancelled = False
        while True:
            if self._stops > 1 or (killable and (self._stops or self._skip)):
                worker.signal(signal.SIGKILL)
                worker.loaded_group = None
                self._check()
            if (self._stops or self._skip) and not cancelled:
                cancelled = True
                worker.send(orders.Cancel(cell=cell.id))
            event = self._take(worker)
            lost = self._patience.lost(time.monotonic())
            if lost:
                raise _Over("timeout", reason=lost)
            if event is None or getattr(event, "cell", None) != cell.id:
                continue
            if isinstance(event, events.CellRejected | events.CellFinished):
                raise _Over(event.status if isinstance(event, events.CellFinished) else "failed")
            if cancelled and isinstance(event, events.Phase) and event.name == "idle":
                self._check()
            if isinstance(event, wanted) and not cancelled:
                return

    def _take(self, worker: Child) -> AnyEvent | None:
        """The next event of `worker`, null after a short wait. Raises `_Gone`."""
        self._heartbeat_ns = now_ns()
        self._watch.mind()
        try:
            child, event = self._inbox.get(timeout=ANSWER_S)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        if child is None:
            self.stop("signal")
        elif event is None and self._watch.owns(child):
            self._watch.lost()
        if child is not worker:
            return None
        if event is None:
            raise _Gone
        self._patience.heard(time.monotonic())
        return event

    def _lost(self, worker: Child, cell: Cell, course: Course, reason: str) -> None:
        """It does not answer in time: TERM, then KILL."""
        state = self.recorder.state.cells[cell.id]
        worker.signal(signal.SIGTERM)
        if worker.end() is None:
            reason += f"; its process {worker.process.pid} cannot be killed"
        self._finish(
            cell,
            "timeout",
            reason=reason,
            hint="a longer --timeout, or less work in a cell",
            phase=state.phase if state.stage == "loading" else state.stage,
            n=course.measured,
            stderr=list(worker.stderr),
        )

    def _died(self, worker: Child, cell: Cell, course: Course) -> None:
        code = worker.end()
        if self._stops or self._skip:
            status: Status = "cancelled" if self._stops else "skipped"
            stopped_by = "stop" if self._stops else "skip"
            self._finish(cell, status, stopped_by=stopped_by, n=course.measured)
            return
        state = self.recorder.state.cells[cell.id]
        if state.over:
            return
        last = worker.stderr[-1] if worker.stderr else ""
        reason = f"the worker {children.exit_words(code)}" + (f": {last}" if last else "")
        starved = code == -signal.SIGKILL and memory_killer.kills() > worker.memory_kills
        if starved:
            reason = "out of memory: the memory killer of the host or cgroup ended the worker"
        self._finish(
            cell,
            "oom" if starved else "failed",
            reason=reason,
            hint="the run goes on with a fresh worker; its last lines are in the session",
            phase=state.phase if state.stage == "loading" else state.stage,
            n=course.measured,
            exit_code=code,
            stderr=list(worker.stderr),
        )

    # Children

    def _start_worker(self) -> Child:
        self._workers += 1
        offline = {"HF_HUB_OFFLINE": "1"} if self._offline else {}
        worker = children.start(f"worker:{self._workers}", self._worker_command, offline)
        self._wires.add(worker)
        return worker
