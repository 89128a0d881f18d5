"""The children that a run asks, one at a time, and what they answer. Used by the main thread."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from txtop.models import model_config
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands, events
from txtop.protocol.commands import WorkerCommand
from txtop.protocol.events import AnyEvent, CellStatus, Role
from txtop.runner import child_process
from txtop.runner.child_process import ChildProcess
from txtop.runner.deadline import Deadline
from txtop.runner.io_loop import IoLoop
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.run_control import RunControl
from txtop.runner.sampler_supervisor import SamplerSupervisor

POLL_S = 0.2

# A child with its event, or with null when its output ended; a signal; what broke the wires.
ChildMessage = tuple[ChildProcess | None, AnyEvent | Exception | None]


class WorkerDied(Exception):
    """The worker's output has ended."""


class CellEnded(Exception):
    """The cell is over before its time: its status, and who said so."""

    def __init__(self, status: CellStatus, stopped_by: str = "", reason: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.stopped_by = stopped_by
        self.reason = reason


class WorkerClient:
    """Starts workers, gives them orders and waits for what they say.

    `inbox` is filled from the thread of the wires and by signal handlers; `workers` counts those
    that were started, `offline` says that the Hub did not answer.
    """

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        control: RunControl,
        worker: Sequence[str],
        workers: int = 0,
    ) -> None:
        self.plan = plan
        self.recorder = recorder
        self.control = control
        self.inbox: queue.SimpleQueue[ChildMessage] = queue.SimpleQueue()
        self.offline = False
        self.workers = workers
        self._command = worker
        self._deadline = Deadline(None, time.monotonic())
        self._io_loop: IoLoop | None = None
        self._supervisor: SamplerSupervisor | None = None

    def connect(self, io_loop: IoLoop, supervisor: SamplerSupervisor) -> None:
        """What reads the children's pipes and what watches the machine, before anything starts."""
        self._io_loop, self._supervisor = io_loop, supervisor

    def start_worker(self) -> ChildProcess:
        """A fresh worker."""
        assert self._io_loop is not None and self._supervisor is not None
        self.workers += 1
        offline = {"HF_HUB_OFFLINE": "1"} if self.offline else {}
        worker = child_process.start_child(f"worker:{self.workers}", self._command, offline)
        self._io_loop.add(worker)
        self._supervisor.watch_worker(worker)
        return worker

    def load(self, worker: ChildProcess, cell: Cell) -> None:
        """Loads what `cell` needs. Raises `CellEnded` or `WorkerDied`."""
        order = commands.LoadModel(
            cell=cell,
            started_ns=worker.started_ns,
            seed=self.plan.seed,
            allowed=self.plan.allowed,
        )
        self.ask(worker, order, cell, events.ModelLoaded, killable=True)
        load = self.recorder.state.cells[cell.id].load
        worker.loaded_group = cell.group
        worker.on_gpu = load is not None and load.device != "cpu"

    def iterate(self, worker: ChildProcess, cell: Cell, role: Role, count: int) -> None:
        """So many iterations; the kernels are looked at once, after the first. Raises `CellEnded`,
        `WorkerDied`."""
        state = self.recorder.state.cells[cell.id]
        if role != "first" and state.kernels is None:
            self.ask(worker, commands.Inspect(cell=cell.id), cell, events.Kernels)
        index = len(state.samples)
        order = commands.Iterate(cell=cell.id, role=role, index=index, count=count)
        self.ask(worker, order, cell, events.Iteration, count=count)

    # What is recorded of a cell

    def start_deadline(self, timeout_s: float | None) -> None:
        """From now on the workers have so long, as a whole."""
        self._deadline = Deadline(timeout_s, time.monotonic())

    def refuse(self, cell: Cell) -> bool:
        """Whether `cell` cannot be measured, as far as is known before loading; then says so."""
        refused = model_config.explain_refusal(cell)
        if refused:
            self.reject(cell, *refused)
        return refused is not None

    def reject(self, cell: Cell, reason: str, hint: str) -> None:
        self.recorder.record(
            events.CellRejected(t_ns=now_ns(), cell=cell.id, reason=reason, hint=hint)
        )

    def finish(self, cell: Cell, status: CellStatus, **facts: Any) -> None:
        self.recorder.record(
            events.CellFinished(t_ns=now_ns(), cell=cell.id, status=status, **facts)
        )

    # Waiting

    def wait_while_paused(self, worker: ChildProcess) -> bool:
        """Returns whether the run was paused. Raises `CellEnded` where it is to end."""
        since_s = time.monotonic()
        waited = False
        while self.control.paused and not self.control.stops and not self.control.skip:
            waited = True
            self.receive(worker)
        self._deadline.extend(time.monotonic() - since_s)
        self.raise_if_ended()
        return waited

    def raise_if_ended(self) -> None:
        """Raises `CellEnded` where somebody asked for a stop or a skip."""
        if self.control.stops:
            raise CellEnded("cancelled", "stop")
        if self.control.skip:
            raise CellEnded("skipped", "skip")

    def ask(
        self,
        worker: ChildProcess,
        order: WorkerCommand,
        cell: Cell,
        wanted: type[AnyEvent],
        *,
        count: int = 1,
        killable: bool = False,
    ) -> None:
        """Until the worker has answered `order` with so many `wanted`. Raises `CellEnded` or
        `WorkerDied`.

        A load cannot be cancelled between steps, so on a stop or skip its worker is killed.
        """
        worker.send(order)
        for _ in range(count):
            self.wait_for(worker, cell, lambda event: isinstance(event, wanted), killable=killable)

    def cancel(self, worker: ChildProcess, cell: Cell) -> None:
        """Until the worker has given up what it does for `cell`. Raises `CellEnded` or
        `WorkerDied`."""
        worker.send(commands.Cancel(cell=cell.id))
        self.wait_for(worker, cell, lambda event: isinstance(event, events.Phase))

    def extend_deadline(self, seconds: float) -> None:
        """The run was paused for so long, which is held against nobody."""
        self._deadline.extend(seconds)

    def wait_for(
        self,
        worker: ChildProcess,
        cell: Cell,
        enough: Callable[[AnyEvent | None], bool],
        *,
        killable: bool = False,
    ) -> None:
        """Until `enough` of what the worker says of `cell`; it is asked with null as well, at least
        five times a second. Raises `CellEnded` or `WorkerDied`."""
        cancelled = False
        while True:
            if self.control.stops > 1 or (killable and (self.control.stops or self.control.skip)):
                worker.signal(signal.SIGKILL)
                worker.loaded_group = None
                self.raise_if_ended()
            if (self.control.stops or self.control.skip) and not cancelled:
                cancelled = True
                worker.send(commands.Cancel(cell=cell.id))
            event = self.receive(worker)
            reason = self._deadline.explain_expiry(time.monotonic())
            if reason:
                raise CellEnded("timeout", reason=reason)
            if event is None or getattr(event, "cell", None) != cell.id:
                if not cancelled and enough(None):
                    return
                continue
            if isinstance(event, events.CellRejected | events.CellFinished):
                raise CellEnded(
                    event.status if isinstance(event, events.CellFinished) else "failed"
                )
            if cancelled and isinstance(event, events.Phase) and event.name == "idle":
                self.raise_if_ended()
            if not cancelled and enough(event):
                return

    def receive(self, worker: ChildProcess | None) -> AnyEvent | None:
        """The next event of `worker`, null after a short wait. Raises `WorkerDied`."""
        assert self._supervisor is not None
        self.control.heartbeat_ns = now_ns()
        self._supervisor.supervise()
        if worker is not None and worker.gone:
            raise WorkerDied
        try:
            child, event = self.inbox.get(timeout=POLL_S)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        if child is None:
            self.control.stop("signal")
        elif event is None:
            child.gone = True
            if self._supervisor.owns(child):
                self._supervisor.handle_exit()
        if child is None or child is not worker:
            return None
        if event is None:
            raise WorkerDied
        self._deadline.note_output(time.monotonic())
        return event
