"""Conduct the profiled passes of cells that were measured: the time of a GPU, and explanations."""

from __future__ import annotations

from abc import ABC, abstractmethod

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.protocol.events import AnyEvent
from txtop.runner.measured_work import ask_about
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import WorkerClient
from txtop.state.pending_work import find_pending_explanations, find_pending_profiles
from txtop.state.session import SessionState


class PassRun(ABC):
    """Run the pending passes of a kind. One that fails costs its own figures and nothing else.

    Each has a worker of its own that is then thrown away: a profiler that has seen the device slows
    down its process for good.
    """

    answer: type[AnyEvent]
    """The event that ends a pass."""
    command: type[commands.Profile | commands.Explain]
    beginning: str
    """Words for the log as a pass begins."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._recorder, self._control = client.recorder, client.control
        self._tried: set[str] = set()

    def run(self) -> None:
        """Run every pass that is pending now, until the run is stopped."""
        while not self._control.stops and (cell := self._find_next()) is not None:
            self._client.drop_late_skip()
            self._tried.add(cell.id)
            reason = self._watch(cell)
            # A pass that has no event would be pending for ever.
            if not self._control.stops and not self.has_answer(self._recorder.state, cell.id):
                self._recorder.record(self.build_failure(cell.id, reason))

    @abstractmethod
    def find_pending(self, state: SessionState) -> list[Cell]:
        """Return the cells whose pass is due and not made."""

    @abstractmethod
    def has_answer(self, state: SessionState, cell: str) -> bool:
        """Return whether the pass of a cell has ended with an event."""

    @abstractmethod
    def build_failure(self, cell: str, reason: str) -> AnyEvent:
        """Build the event of a pass that has none."""

    def _find_next(self) -> Cell | None:
        """Return a cell whose pass is pending and was not tried in this run."""
        pending = self.find_pending(self._recorder.state)
        return next((cell for cell in pending if cell.id not in self._tried), None)

    def _watch(self, cell: Cell) -> str:
        """Profile `cell`. Return why there is no event of it, if there is none."""
        explains = self.command is commands.Explain
        self._recorder.record(
            events.Log(t_ns=now_ns(), text=self.beginning, cell=cell.id, explains=explains)
        )
        worker = self._client.start_worker()
        command = self.command(
            cell=cell.put_on(self._recorder.state.cells[cell.id].place),
            started_ns=worker.started_ns,
            seed=self._client.plan.seed,
            allowed=self._client.plan.allowed,
        )
        try:
            return ask_about(self._client, worker, command, cell, self.answer)
        finally:
            worker.end(0.1 if self._control.stops else 1.0)


class ProfileRun(PassRun):
    """Read how long a GPU computes in one step of the cells that were measured."""

    answer = events.DeviceTime
    command = commands.Profile
    beginning = "the GPU in a step"

    def find_pending(self, state: SessionState) -> list[Cell]:
        return find_pending_profiles(state)

    def has_answer(self, state: SessionState, cell: str) -> bool:
        return cell in state.device_times

    def build_failure(self, cell: str, reason: str) -> AnyEvent:
        return events.DeviceTime(t_ns=now_ns(), cell=cell, failed=reason)


class ExplainRun(PassRun):
    """Explain where the time of the cells goes that were measured."""

    answer = events.Explanation
    command = commands.Explain
    beginning = f"{events.EXPLAINING}a fresh process loads the model"

    def find_pending(self, state: SessionState) -> list[Cell]:
        return find_pending_explanations(state)

    def has_answer(self, state: SessionState, cell: str) -> bool:
        return cell in state.explanations

    def build_failure(self, cell: str, reason: str) -> AnyEvent:
        return events.Explanation(t_ns=now_ns(), cell=cell, failed=reason)
