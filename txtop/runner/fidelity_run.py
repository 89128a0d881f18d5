"""Conducts the comparisons of outputs, by a worker of their own, outside everything timed."""

from __future__ import annotations

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.runner import worker_failure
from txtop.runner.child_process import Child
from txtop.runner.recorder import now_ns
from txtop.runner.session_start import uncompared
from txtop.runner.worker_client import Crew, Gone, Over


class Outputs:
    """Compares what is due. A comparison that fails costs its badge and nothing else."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._recorder, self._steering = crew.recorder, crew.steering

    def run(self) -> None:
        """Every comparison that is due now, until somebody stops the run."""
        worker: Child | None = None
        try:
            for reference, cell in uncompared(self._recorder.state):
                if self._steering.stops:
                    return
                self._steering.skip = False
                worker = self._one(worker or self._crew.start(), reference, cell)
        finally:
            if worker is not None:
                worker.end()

    def _one(self, worker: Child, reference: Cell, cell: Cell) -> Child | None:
        """Returns the worker if it can go on: it keeps what the reference answered."""
        order = commands.Compare(
            cell=cell,
            reference=reference,
            positions=self._crew.plan.fidelity_positions,
            started_ns=worker.started_ns,
            seed=self._crew.plan.seed,
            allowed=self._crew.plan.allowed,
        )
        self._crew.begin(self._crew.plan.timeout_s)
        try:
            self._crew.wait_while_paused(worker)
            self._crew.ask(worker, order, cell, events.Fidelity, killable=True)
            return worker
        except Over as over:
            failed = over.reason or over.stopped_by
        except Gone:
            failed = worker_failure.autopsy(worker)[1]
        worker.end(0.1)
        if not self._steering.stops:
            self._fail(reference, cell, "skipped" if self._steering.skip else failed)
        return None

    def _fail(self, reference: Cell, cell: Cell, why: str) -> None:
        self._recorder.record(
            events.Fidelity(t_ns=now_ns(), cell=cell.id, reference=reference.id, failed=why)
        )
