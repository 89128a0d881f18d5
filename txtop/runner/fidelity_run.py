"""Conduct the comparisons of outputs, in a worker of their own and outside everything timed."""

from __future__ import annotations

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.runner import worker_failure
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.state.pending_work import find_pending_comparisons


class FidelityRun:
    """Run the pending comparisons. One that fails costs its badge and nothing else."""

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._recorder, self._control = client.recorder, client.control
        self._tried: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Run every comparison that is pending now, until the run is stopped."""
        worker: ChildProcess | None = None
        try:
            for reference, cell in find_pending_comparisons(self._recorder.state):
                if self._control.stops:
                    return
                if (reference.id, cell.id) in self._tried:
                    continue
                self._tried.add((reference.id, cell.id))
                self._control.skip = False
                worker = self._compare(worker or self._client.start_worker(), reference, cell)
        finally:
            if worker is not None:
                worker.end()

    def _compare(self, worker: ChildProcess, reference: Cell, cell: Cell) -> ChildProcess | None:
        """Compare `cell` with `reference`.

        Return the worker if it can be used again, else None. It keeps the reference's output, so
        comparisons with the same reference are best run in a row.
        """
        command = commands.Compare(
            cell=cell,
            reference=reference,
            positions=self._client.plan.fidelity_positions,
            started_ns=worker.started_ns,
            seed=self._client.plan.seed,
            allowed=self._client.plan.allowed,
        )
        self._client.start_deadline(self._client.plan.timeout_s)
        try:
            self._client.wait_while_paused(worker)
            self._client.ask(worker, command, cell, events.Fidelity, killable=True)
            return worker
        except CellEnded as over:
            reason = over.reason or over.stopped_by
        except WorkerDied:
            reason = worker_failure.diagnose_death(worker)[1]
        worker.end(0.1)
        if not self._control.stops:
            self._record_failure(reference, cell, "skipped" if self._control.skip else reason)
        return None

    def _record_failure(self, reference: Cell, cell: Cell, reason: str) -> None:
        self._recorder.record(
            events.Fidelity(t_ns=now_ns(), cell=cell.id, reference=reference.id, failed=reason)
        )
