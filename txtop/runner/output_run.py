"""Conduct what is asked of the outputs of cells: comparisons, and answers to tasks.

Each kind has a worker of its own, outside everything timed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from txtop.plan.cell import Cell
from txtop.plan.task import TaskSpec
from txtop.protocol import commands, events
from txtop.protocol.events import AnyEvent
from txtop.runner.child_process import ChildProcess
from txtop.runner.measured_work import ask_about
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import WorkerClient
from txtop.state.pending_work import find_pending_answers, find_pending_comparisons
from txtop.state.session import SessionState
from txtop.system.device_names import get_cores

Other = TypeVar("Other", Cell, TaskSpec)


class OutputRun(ABC, Generic[Other]):
    """Ask for everything pending of a kind. What fails costs its own figures and nothing else.

    Of a cell and its `other`, a reference or a task, each pair is asked for once. The worker keeps
    what it has of the one before, so equal references are best asked for in a row.
    """

    answer: type[AnyEvent]

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._tried: set[tuple[Cell, Other]] = set()

    def run(self) -> None:
        """Ask for everything that is pending now, until the run is stopped."""
        worker: ChildProcess | None = None
        try:
            for cell, other in self.find_pending(self._client.recorder.state):
                # What was found since may have made the rest needless.
                if (cell, other) not in self.find_pending(self._client.recorder.state):
                    continue
                if self._client.control.stops:
                    return
                refused = self._client.refused
                if (cell, other) in self._tried or {cell.id, getattr(other, "id", "")} & refused:
                    continue
                self._tried.add((cell, other))
                self._client.drop_late_skip()
                # The worker of a model in parts has its ranks for good.
                is_alone = max(cell.ranks, getattr(other, "ranks", 1)) > 1
                if is_alone and worker is not None:
                    worker.end()
                    worker = None
                worker = self._ask(worker or self._client.start_worker(), cell, other)
                if is_alone and worker is not None:
                    worker.end()
                    worker = None
        finally:
            if worker is not None:
                worker.end()

    @abstractmethod
    def find_pending(self, state: SessionState) -> Sequence[tuple[Cell, Other]]:
        """Return each cell with what is due of it and not yet made."""

    @abstractmethod
    def build_command(
        self, cell: Cell, other: Other, started_ns: int
    ) -> commands.Compare | commands.Answer:
        """Build the command for a worker that was started at `started_ns`."""

    @abstractmethod
    def build_failure(self, cell: Cell, other: Other, reason: str) -> AnyEvent:
        """Build the event of what the worker had no answer to."""

    def _put(self, cell: Cell) -> Cell:
        """Return `cell` on the first GPU of the places; on a CPU it takes all cores."""
        places = self._client.plan.places
        return cell.put_on(places[0]) if places and not get_cores(places[0]) else cell

    def _ask(self, worker: ChildProcess, cell: Cell, other: Other) -> ChildProcess | None:
        """Ask `worker`. Return it if it can be used again, else None."""
        command = self.build_command(cell, other, worker.started_ns)
        reason = ask_about(self._client, worker, command, cell, self.answer)
        if not reason:
            return worker
        worker.end(0.1)
        if not self._client.control.stops:
            self._client.recorder.record(self.build_failure(cell, other, reason))
        return None


class FidelityRun(OutputRun[Cell]):
    """Compare the outputs of cells with those of their references."""

    answer = events.Fidelity

    def find_pending(self, state: SessionState) -> Sequence[tuple[Cell, Cell]]:
        return [(cell, reference) for reference, cell in find_pending_comparisons(state)]

    def build_command(self, cell: Cell, other: Cell, started_ns: int) -> commands.Compare:
        return commands.Compare(
            cell=self._put(cell),
            reference=self._put(other),
            positions=self._client.plan.fidelity_positions,
            started_ns=started_ns,
            seed=self._client.plan.seed,
            allowed=self._client.plan.allowed,
        )

    def build_failure(self, cell: Cell, other: Cell, reason: str) -> AnyEvent:
        return events.Fidelity(t_ns=now_ns(), cell=cell.id, reference=other.id, failed=reason)


class AccuracyRun(OutputRun[TaskSpec]):
    """Let cells answer the tasks of the plan."""

    answer = events.TaskAnswered

    def find_pending(self, state: SessionState) -> Sequence[tuple[Cell, TaskSpec]]:
        return find_pending_answers(state)

    def build_command(self, cell: Cell, other: TaskSpec, started_ns: int) -> commands.Answer:
        told = self._client.recorder.state.questions.get(other.name, ())
        return commands.Answer(
            cell=self._put(cell),
            task=other,
            tells_items=sum(len(event.lines) for event in told) < other.items,
            started_ns=started_ns,
            seed=self._client.plan.seed,
            allowed=self._client.plan.allowed,
        )

    def build_failure(self, cell: Cell, other: TaskSpec, reason: str) -> AnyEvent:
        return events.TaskAnswered(t_ns=now_ns(), cell=cell.id, task=other.name, failed=reason)
