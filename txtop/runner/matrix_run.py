"""Conduct a matrix, one cell after the other; cells that share weights share a worker."""

from __future__ import annotations

from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.protocol.events import CellStatus
from txtop.runner import worker_failure
from txtop.runner.batch_cell import CellSchedule
from txtop.runner.child_process import ChildProcess
from txtop.runner.output_run import AccuracyRun, FidelityRun
from txtop.runner.profile_run import PassRun
from txtop.runner.recorder import now_ns
from txtop.runner.serving_cell import ServingRun
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.state.cell import FAILED_STATUSES

GRACE_S = 1.0
OtherRun = FidelityRun | AccuracyRun | PassRun


class MatrixRun:
    """Measure the cells of a plan whose ids are `missing`, in the plan's order.

    After each group of cells that share weights, what is pending of `others` is done: comparisons
    of outputs, answers to tasks, times of the GPU, and explanations.
    """

    def __init__(
        self,
        client: WorkerClient,
        others: tuple[OtherRun, ...],
        missing: frozenset[str],
    ) -> None:
        self._client = client
        self._others = others
        self._missing = missing
        self._recorder, self._control = client.recorder, client.control

    def run(self) -> None:
        """Measure every cell, until the run is stopped."""
        self.run_others()
        for group in self.list_waiting_groups():
            if not self._control.stops:
                self.run_group(group)
                self.run_others()

    def list_waiting_groups(self) -> list[list[Cell]]:
        """Return the cells to measure by the weights they share, and refuse those that cannot be.

        What cannot be measured is said before hours are spent on the rest.
        """
        refused = {c.id for c in self._client.plan.cells
                   if c.id in self._missing and self._client.refuse(c)}  # fmt: skip
        waiting = self._missing - refused
        return [[c for c in group if c.id in waiting] for group in self._client.plan.groups]

    def run_others(self) -> None:
        """Do what is pending of the others now."""
        for other in self._others:
            other.run()

    def run_group(self, cells: list[Cell]) -> None:
        """Measure cells that share weights, replacing a worker that died."""
        worker: ChildProcess | None = None
        waiting = list(cells)
        try:
            while waiting and not self._control.stops:
                cell = waiting.pop(0)
                if worker is None:
                    worker = self._client.start_worker()
                worker, loaded = self.run_cell(worker, cell)
                if not loaded:
                    self._spread_refusal(cell, waiting)
                    break
        finally:
            if worker is not None:
                worker.end()

    def _spread_refusal(self, cell: Cell, others: list[Cell]) -> None:
        """End `others`, which share the weights of `cell`, as its load ended."""
        first = self._recorder.state.cells[cell.id]
        for other in others:
            if (refused := first.rejected) is not None:
                self._client.reject(other, refused.reason, refused.hint, may_pass=refused.may_pass)
            elif first.finished is not None and first.status in FAILED_STATUSES:
                reason = f"the same weights as {labels.format_short_label(cell)}: {first.reason}"
                finished = first.finished
                self._client.finish(other, finished.status, reason=reason, phase=finished.phase)

    def run_cell(self, worker: ChildProcess, cell: Cell) -> tuple[ChildProcess | None, bool]:
        """Measure one cell. Return the worker if it is still usable, and if its weights loaded."""
        client, plan, control = self._client, self._client.plan, self._control
        client.drop_late_skip()
        shares = worker.loaded_group == cell.group
        started = events.CellStarted(
            t_ns=now_ns(),
            cell=cell.id,
            worker=worker.name,
            shares_weights=shares,
            place=client.place,
        )
        self._recorder.record(started)
        state = self._recorder.state.cells[cell.id]
        schedule: CellSchedule | ServingRun = (
            CellSchedule(plan, self._recorder.state, state)
            if cell.serving is None
            else ServingRun(client, cell, state)
        )
        client.start_deadline(plan.timeout_s)
        try:
            if not shares:
                client.load(worker, cell)
            client.ask(worker, commands.Prepare(cell=cell), cell, events.Workload)
            if isinstance(schedule, ServingRun):
                schedule.run(worker)
            else:
                self._iterate(worker, cell, schedule)
            client.ask(worker, commands.Finish(cell=cell.id), cell, events.Memory)
        except CellEnded as over:
            if over.status == "timeout":
                self._recorder.record(
                    worker_failure.end_silent_worker(worker, state, schedule, over.reason)
                )
                return None, worker.loaded_group is not None
            if not state.over:
                n, stopped_by = schedule.measured, over.stopped_by
                client.finish(cell, over.status, stopped_by=stopped_by, n=n, reason=over.reason)
            # After a sticky error the context is lost; after an oom memory may not come back.
            spoiled = state.status == "oom" or (
                state.finished is not None and state.finished.sticky
            )
            usable = worker.loaded_group is not None and not spoiled
            if usable and worker.process.poll() is None and not control.stops:
                return worker, True
            worker.end(GRACE_S if control.stops < 2 else 0.1)
            return None, worker.loaded_group is not None or over.status == "skipped"
        except WorkerDied:
            if control.stops or control.skip:
                status: CellStatus = "cancelled" if control.stops else "skipped"
                stopped_by = "stop" if control.stops else "skip"
                client.finish(cell, status, stopped_by=stopped_by, n=schedule.measured)
            elif not state.over:
                self._recorder.record(worker_failure.build_death_event(worker, state, schedule))
            worker.end()
            return None, True
        if not state.over:
            client.finish(
                cell,
                "ok",
                stopped_by=schedule.stopped_by or "",
                n=schedule.measured,
                half_width=schedule.compute_half_width(),
            )
        return worker, True

    def _iterate(self, worker: ChildProcess, cell: Cell, schedule: CellSchedule) -> None:
        while (block := schedule.next_block()) is not None or self._judge(schedule, last=True):
            if block is None:
                continue
            self._client.wait_while_paused(worker)
            self._client.iterate(worker, cell, *block, batch=schedule.batch)
            self._judge(schedule)

    def _judge(self, schedule: CellSchedule, last: bool = False) -> bool:
        """Record disturbed blocks. Return whether one has to be repeated."""
        verdicts = schedule.judge_blocks(last)
        for verdict in verdicts:
            self._recorder.record(verdict)
        return any(not verdict.kept for verdict in verdicts)
