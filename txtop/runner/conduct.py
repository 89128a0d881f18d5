"""Conducts a run: groups, workers, cells, and what was asked meanwhile. Runs in the main thread."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from txtop import events, models, orders, stats
from txtop.events import AnyEvent, Status
from txtop.plan import Cell, Plan
from txtop.runner import children, lost, machine, opening
from txtop.runner.children import SAMPLER, WORKER, Child
from txtop.runner.measure import Course
from txtop.runner.patience import Patience
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.steering import Steering
from txtop.runner.watch import Watch
from txtop.runner.wires import Wires
from txtop.session.read import read_all
from txtop.session.write import LogWriter
from txtop.state import HOST, SessionState, fold_all

ANSWER_S = 0.2
GRACE_S = 1.0
IDLE_NS = 2_200_000_000
IDLE_PATIENCE_S = 6.0

FROM_WORKER = (
    events.Comparing,
    events.Fidelity,
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
    """One run of one plan. `run` returns why it ended and whether everything is on disk.

    Without a plan the session in `folder` is gone on with: its own plan, what is missing of it.
    Raises `SessionError` where that cannot be read, `RunError` where another process writes it.
    """

    def __init__(
        self,
        plan: Plan | None,
        folder: Path,
        *,
        name: str | None = None,
        socket_path: Path | None = None,
        screens: dict[str, int] | None = None,
        worker: Sequence[str] = WORKER,
        sampler: Sequence[str] | None = SAMPLER,
    ) -> None:
        writer = LogWriter(folder)
        before = fold_all(read_all(folder)[0]) if plan is None else SessionState()
        self.plan = before.plan if plan is None else plan
        self._resumes = plan is None
        self._folder, self._name = folder, name
        self._worker_command = worker
        self.recorder = Recorder(writer, before)
        self._inbox: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self.steering = Steering(self.recorder)
        self._patience = Patience(None, time.monotonic())
        self._workers = len({cell.worker for cell in before.cells.values()})
        self._offline = False
        self._wires = Wires(
            on_event=self._on_event,
            on_bad=self._on_bad,
            on_end=lambda child: self._inbox.put((child, None)),
            on_request=self.steering.obey,
            on_orphaned=lambda: self.steering.stop("the command that started it is gone"),
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

    # What children say, on the thread of the wires

    def _on_event(self, child: Child, event: AnyEvent) -> None:
        event.src = child.name
        if self._watch.owns(child):
            self._watch.heard()
            if isinstance(event, events.Telemetry | events.Log | events.Gap):
                self.recorder.record(event)
            return
        if not isinstance(event, FROM_WORKER):
            self._on_bad(child, f"{event.__struct_config__.tag} is not for a worker to say")
            return
        if not isinstance(event, events.Log) and event.cell not in self.recorder.state.working:
            return
        if isinstance(event, events.Log) and event.text == models.OFFLINE_NOTICE:
            self._offline = True
        self.recorder.record(event)
        self._inbox.put((child, event))

    def _on_bad(self, child: Child, why: str) -> None:
        self.recorder.warn(f"{child.name} said what is no event: {why}")

    # The run

    def run(self) -> tuple[Reason, bool]:
        """Measures every cell. Returns (done | stopped | failed, everything is on disk)."""
        if self._resumes:
            opening.go_on(self.recorder)
        else:
            opening.begin(self.recorder, self.plan, self._folder.name, self._name)
        self._watch.start()
        reason: Reason = "failed"
        try:
            if self._watch.started and machine.has_package_power():
                self._rest()
            wanted = opening.missing(self.recorder.state)
            for group in self.plan.groups:
                if not self.steering.stops:
                    self._group([cell for cell in group if cell.id in wanted])
            reason = "stopped" if self.steering.stops else "done"
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
            self.steering.ended = True
            recorded = self.recorder.writer.close()
            self._wires.close()
        return reason, recorded

    def _rest(self) -> None:
        """Lets the CPU be idle until the sampler has seen for long enough what that takes."""
        devices = self.recorder.state.devices
        until_s = time.monotonic() + IDLE_PATIENCE_S
        while time.monotonic() < until_s and not self.steering.stops:
            self._take(None)
            read = devices[HOST].series.get("power_w") if HOST in devices else None
            if read is not None and read[0][-1] - read[0][0] >= IDLE_NS:
                return

    def _group(self, cells: list[Cell]) -> None:
        """Cells that share weights; a worker that died or failed to load is replaced."""
        worker: Child | None = None
        waiting = list(cells)
        try:
            while waiting and not self.steering.stops:
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
        self.steering.skip = False
        shares = worker.loaded_group == cell.group
        started = events.CellStarted(
            t_ns=now_ns(), cell=cell.id, worker=worker.name, shares_weights=shares
        )
        self.recorder.record(started)
        state = self.recorder.state.cells[cell.id]
        course = Course(self.plan, self.recorder.state, state)
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
                self.recorder.record(lost.silent(worker, state, course, over.reason))
                return None, worker.loaded_group is not None
            if not state.over:
                n, stopped_by = course.measured, over.stopped_by
                self._finish(cell, over.status, stopped_by=stopped_by, n=n)
            usable = worker.loaded_group is not None and not worker.on_gpu
            usable = usable and state.status != "oom"
            if over.status in ("skipped", "cancelled"):
                usable = worker.loaded_group is not None
            if usable and worker.process.poll() is None and not self.steering.stops:
                return worker, True
            worker.end(GRACE_S if self.steering.stops < 2 else 0.1)
            return None, worker.loaded_group is not None or over.status == "skipped"
        except _Gone:
            if self.steering.stops or self.steering.skip:
                status: Status = "cancelled" if self.steering.stops else "skipped"
                stopped_by = "stop" if self.steering.stops else "skip"
                self._finish(cell, status, stopped_by=stopped_by, n=course.measured)
            elif not state.over:
                self.recorder.record(lost.died(worker, state, course))
            worker.end()
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
        worker.on_gpu = load is not None and load.device != "cpu"

    def _iterate(self, worker: Child, cell: Cell, course: Course) -> None:
        state = self.recorder.state.cells[cell.id]
        while (block := course.next_block()) is not None or self._judge(course, last=True):
            if block is None:
                continue
            self._wait_while_paused(worker)
            role, count = block
            if role != "first" and state.kernels is None:
                worker.send(orders.Inspect(cell=cell.id))
                self._await(worker, cell, events.Kernels)
            index = len(state.samples)
            worker.send(orders.Iterate(cell=cell.id, role=role, index=index, count=count))
            for _ in range(count):
                self._await(worker, cell, events.Iteration)
            self._judge(course)

    def _judge(self, course: Course, last: bool = False) -> bool:
        """Records what the machine spoiled. Returns whether something has to be repeated."""
        verdicts = course.judged(last)
        for verdict in verdicts:
            self.recorder.record(verdict)
        return any(not verdict.kept for verdict in verdicts)

    def _wait_while_paused(self, worker: Child) -> None:
        since_s = time.monotonic()
        while self.steering.paused and not self.steering.stops and not self.steering.skip:
            self._take(worker)
        self._patience.waited(time.monotonic() - since_s)
        self._check()

    def _check(self) -> None:
        if self.steering.stops:
            raise _Over("cancelled", "stop")
        if self.steering.skip:
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
            if self.steering.stops > 1 or (
                killable and (self.steering.stops or self.steering.skip)
            ):
                worker.signal(signal.SIGKILL)
                worker.loaded_group = None
                self._check()
            if (self.steering.stops or self.steering.skip) and not cancelled:
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

    def _take(self, worker: Child | None) -> AnyEvent | None:
        """The next event of `worker`, null after a short wait. Raises `_Gone`."""
        self.steering.heartbeat_ns = now_ns()
        self._watch.mind()
        try:
            child, event = self._inbox.get(timeout=ANSWER_S)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        if child is None:
            self.steering.stop("signal")
        elif event is None and self._watch.owns(child):
            self._watch.lost()
        if child is None or child is not worker:
            return None
        if event is None:
            raise _Gone
        self._patience.heard(time.monotonic())
        return event

    # Children

    def _start_worker(self) -> Child:
        self._workers += 1
        offline = {"HF_HUB_OFFLINE": "1"} if self._offline else {}
        worker = children.start(f"worker:{self._workers}", self._worker_command, offline)
        self._wires.add(worker)
        self._watch.worker(worker)
        return worker
