"""Conduct the answers to tasks, in a worker of their own and outside everything timed."""

from __future__ import annotations

from txtop.plan.cell import Cell
from txtop.plan.task import TaskSpec
from txtop.protocol import commands, events
from txtop.runner import worker_failure
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.state.pending_work import find_pending_answers


class AccuracyRun:
    """Let cells answer the pending tasks. A task that fails costs its figure and nothing else."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._recorder, self._control = client.recorder, client.control
        self._tried: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Answer every task that is pending now, until the run is stopped."""
        worker: ChildProcess | None = None
        try:
            for cell, task in find_pending_answers(self._recorder.state):
                if self._control.stops:
                    return
                if (cell.id, task.name) in self._tried:
                    continue
                self._tried.add((cell.id, task.name))
                self._control.skip = False
                worker = self._answer(worker or self._client.start_worker(), cell, task)
        finally:
            if worker is not None:
                worker.end()

    def _answer(self, worker: ChildProcess, cell: Cell, task: TaskSpec) -> ChildProcess | None:
        """Let `cell` answer `task`. Return the worker if it can be used again, else None."""
        told = self._recorder.state.questions.get(task.name, ())
        command = commands.Answer(
            cell=cell,
            task=task,
            tells_items=sum(len(event.lines) for event in told) < task.items,
            started_ns=worker.started_ns,
            seed=self._client.plan.seed,
            allowed=self._client.plan.allowed,
        )
        self._client.start_deadline(self._client.plan.timeout_s)
        try:
            self._client.wait_while_paused(worker)
            self._client.ask(worker, command, cell, events.TaskAnswered, killable=True)
            return worker
        except CellEnded as over:
            reason = over.reason or over.stopped_by
        except WorkerDied:
            reason = worker_failure.diagnose_death(worker)[1]
        worker.end(0.1)
        if not self._control.stops:
            self._record_failure(cell, task, "skipped" if self._control.skip else reason)
        return None

    def _record_failure(self, cell: Cell, task: TaskSpec, reason: str) -> None:
        self._recorder.record(
            events.TaskAnswered(t_ns=now_ns(), cell=cell.id, task=task.name, failed=reason)
        )
