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
from txtop.protocol.commands import Order
from txtop.protocol.events import AnyEvent, Role, Status
from txtop.runner import child_process
from txtop.runner.child_process import Child
from txtop.runner.deadline import Patience
from txtop.runner.io_loop import Wires
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.run_control import Steering
from txtop.runner.sampler_supervisor import Watch

ANSWER_S = 0.2

# A child with its event, or with null when its output ended; a signal; what broke the wires.
Item = tuple[Child | None, AnyEvent | Exception | None]


class Gone(Exception):
    """The worker's output has ended."""


class Over(Exception):
    """The cell is over before its time: its status, and who said so."""

    def __init__(self, status: Status, stopped_by: str = "", reason: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.stopped_by = stopped_by
        self.reason = reason


class Crew:
    """Starts workers, gives them orders and waits for what they say.

    `inbox` is filled from the thread of the wires and by signal handlers; `workers` counts those
    that were started, `offline` says that the Hub did not answer.
    """

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        steering: Steering,
        worker: Sequence[str],
        workers: int = 0,
    ) -> None:
        self.plan = plan
        self.recorder = recorder
        self.steering = steering
        self.inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self.offline = False
        self.workers = workers
        self._command = worker
        self._patience = Patience(None, time.monotonic())
        self._wires: Wires | None = None
        self._watch: Watch | None = None

    def connect(self, wires: Wires, watch: Watch) -> None:
        """What reads the children's pipes and what watches the machine, before anything starts."""
        self._wires, self._watch = wires, watch

    def start(self) -> Child:
        """A fresh worker."""
        assert self._wires is not None and self._watch is not None
        self.workers += 1
        offline = {"HF_HUB_OFFLINE": "1"} if self.offline else {}
        worker = child_process.start(f"worker:{self.workers}", self._command, offline)
        self._wires.add(worker)
        self._watch.worker(worker)
        return worker

    def load(self, worker: Child, cell: Cell) -> None:
        """Loads what `cell` needs. Raises `Over` or `Gone`."""
        order = commands.Load(
            cell=cell,
            started_ns=worker.started_ns,
            seed=self.plan.seed,
            allowed=self.plan.allowed,
        )
        self.ask(worker, order, cell, events.Load, killable=True)
        load = self.recorder.state.cells[cell.id].load
        worker.loaded_group = cell.group
        worker.on_gpu = load is not None and load.device != "cpu"

    def iterate(self, worker: Child, cell: Cell, role: Role, count: int) -> None:
        """So many iterations; the kernels are looked at once, after the first. Raises `Over`,
        `Gone`."""
        state = self.recorder.state.cells[cell.id]
        if role != "first" and state.kernels is None:
            self.ask(worker, commands.Inspect(cell=cell.id), cell, events.Kernels)
        index = len(state.samples)
        order = commands.Iterate(cell=cell.id, role=role, index=index, count=count)
        self.ask(worker, order, cell, events.Iteration, count=count)

    # What is recorded of a cell

    def begin(self, timeout_s: float | None) -> None:
        """From now on the workers have so long, as a whole."""
        self._patience = Patience(timeout_s, time.monotonic())

    def refuse(self, cell: Cell) -> bool:
        """Whether `cell` cannot be measured, as far as is known before loading; then says so."""
        refused = model_config.refuse(cell)
        if refused:
            self.reject(cell, *refused)
        return refused is not None

    def reject(self, cell: Cell, reason: str, hint: str) -> None:
        self.recorder.record(
            events.CellRejected(t_ns=now_ns(), cell=cell.id, reason=reason, hint=hint)
        )

    def finish(self, cell: Cell, status: Status, **facts: Any) -> None:
        self.recorder.record(
            events.CellFinished(t_ns=now_ns(), cell=cell.id, status=status, **facts)
        )

    # Waiting

    def wait_while_paused(self, worker: Child) -> bool:
        """Returns whether the run was paused. Raises `Over` where it is to end."""
        since_s = time.monotonic()
        waited = False
        while self.steering.paused and not self.steering.stops and not self.steering.skip:
            waited = True
            self.take(worker)
        self._patience.waited(time.monotonic() - since_s)
        self.check()
        return waited

    def check(self) -> None:
        """Raises `Over` where somebody asked for a stop or a skip."""
        if self.steering.stops:
            raise Over("cancelled", "stop")
        if self.steering.skip:
            raise Over("skipped", "skip")

    def ask(
        self,
        worker: Child,
        order: Order,
        cell: Cell,
        wanted: type[AnyEvent],
        *,
        count: int = 1,
        killable: bool = False,
    ) -> None:
        """Until the worker has answered `order` with so many `wanted`. Raises `Over` or `Gone`.

        A load cannot be cancelled between steps, so on a stop or skip its worker is killed.
        """
        worker.send(order)
        for _ in range(count):
            self.hear(worker, cell, lambda event: isinstance(event, wanted), killable=killable)

    def cancel(self, worker: Child, cell: Cell) -> None:
        """Until the worker has given up what it does for `cell`. Raises `Over` or `Gone`."""
        worker.send(commands.Cancel(cell=cell.id))
        self.hear(worker, cell, lambda event: isinstance(event, events.Phase))

    def grant(self, seconds: float) -> None:
        """The run was paused for so long, which is held against nobody."""
        self._patience.waited(seconds)

    def hear(
        self,
        worker: Child,
        cell: Cell,
        enough: Callable[[AnyEvent | None], bool],
        *,
        killable: bool = False,
    ) -> None:
        """Until `enough` of what the worker says of `cell`; it is asked with null as well, at least
        five times a second. Raises `Over` or `Gone`."""
        cancelled = False
        while True:
            if self.steering.stops > 1 or (
                killable and (self.steering.stops or self.steering.skip)
            ):
                worker.signal(signal.SIGKILL)
                worker.loaded_group = None
                self.check()
            if (self.steering.stops or self.steering.skip) and not cancelled:
                cancelled = True
                worker.send(commands.Cancel(cell=cell.id))
            event = self.take(worker)
            lost = self._patience.lost(time.monotonic())
            if lost:
                raise Over("timeout", reason=lost)
            if event is None or getattr(event, "cell", None) != cell.id:
                if not cancelled and enough(None):
                    return
                continue
            if isinstance(event, events.CellRejected | events.CellFinished):
                raise Over(event.status if isinstance(event, events.CellFinished) else "failed")
            if cancelled and isinstance(event, events.Phase) and event.name == "idle":
                self.check()
            if not cancelled and enough(event):
                return

    def take(self, worker: Child | None) -> AnyEvent | None:
        """The next event of `worker`, null after a short wait. Raises `Gone`."""
        assert self._watch is not None
        self.steering.heartbeat_ns = now_ns()
        self._watch.mind()
        if worker is not None and worker.gone:
            raise Gone
        try:
            child, event = self.inbox.get(timeout=ANSWER_S)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        if child is None:
            self.steering.stop("signal")
        elif event is None:
            child.gone = True
            if self._watch.owns(child):
                self._watch.lost()
        if child is None or child is not worker:
            return None
        if event is None:
            raise Gone
        self._patience.heard(time.monotonic())
        return event
