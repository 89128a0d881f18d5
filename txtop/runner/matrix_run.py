"""Conducts a matrix: cells that share weights by one worker, one cell after the other."""

from __future__ import annotations

from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.protocol.events import CellStatus
from txtop.runner import worker_failure
from txtop.runner.batch_cell import CellSchedule
from txtop.runner.child_process import ChildProcess
from txtop.runner.fidelity_run import FidelityRun
from txtop.runner.recorder import now_ns
from txtop.runner.serving_cell import ServingRun
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied

GRACE_S = 1.0


class MatrixRun:
    """The cells of a plan that are `wanted`, in its order, and what is due of `outputs` whenever
    cells are over."""

    def __init__(self, crew: WorkerClient, outputs: FidelityRun, wanted: frozenset[str]) -> None:
        self._crew = crew
        self._outputs = outputs
        self._wanted = wanted
        self._recorder, self._steering = crew.recorder, crew.steering

    def run(self) -> None:
        """Measures every cell, until somebody stops the run."""
        self._outputs.run()
        for group in self._crew.plan.groups:
            if not self._steering.stops:
                self._group([cell for cell in group if cell.id in self._wanted])
                self._outputs.run()

    def _group(self, cells: list[Cell]) -> None:
        """Cells that share weights; a worker that died or failed to load is replaced."""
        worker: ChildProcess | None = None
        waiting = list(cells)
        try:
            while waiting and not self._steering.stops:
                cell = waiting.pop(0)
                if self._crew.refuse(cell):
                    continue
                if worker is None:
                    worker = self._crew.start()
                worker, loaded = self._cell(worker, cell)
                if not loaded:
                    self._spread(cell, waiting)
                    break
        finally:
            if worker is not None:
                worker.end()

    def _spread(self, cell: Cell, others: list[Cell]) -> None:
        """What refused or broke the load of `cell` does so for every cell with the same weights."""
        known = self._recorder.state.cells[cell.id]
        for other in others:
            if known.rejected is not None:
                self._crew.reject(other, known.rejected.reason, known.rejected.hint)
            elif known.finished is not None and known.status in ("oom", "failed", "timeout"):
                reason = f"the same weights as {labels.format_short_label(cell)}: {known.reason}"
                before = known.finished
                self._crew.finish(other, before.status, reason=reason, phase=before.phase)

    def _cell(self, worker: ChildProcess, cell: Cell) -> tuple[ChildProcess | None, bool]:
        """Measures one cell. Returns the worker if it can go on, and whether its weights loaded."""
        crew, plan, steering = self._crew, self._crew.plan, self._steering
        steering.skip = False
        shares = worker.loaded_group == cell.group
        started = events.CellStarted(
            t_ns=now_ns(), cell=cell.id, worker=worker.name, shares_weights=shares
        )
        self._recorder.record(started)
        state = self._recorder.state.cells[cell.id]
        course: CellSchedule | ServingRun = (
            CellSchedule(plan, self._recorder.state, state)
            if cell.serving is None
            else ServingRun(crew, cell, state)
        )
        crew.begin(plan.timeout_s)
        try:
            if not shares:
                crew.load(worker, cell)
            crew.ask(worker, commands.Prepare(cell=cell), cell, events.Workload)
            if isinstance(course, ServingRun):
                course.run(worker)
            else:
                self._iterate(worker, cell, course)
            crew.ask(worker, commands.Finish(cell=cell.id), cell, events.Memory)
        except CellEnded as over:
            if over.status == "timeout":
                self._recorder.record(
                    worker_failure.end_silent_worker(worker, state, course, over.reason)
                )
                return None, worker.loaded_group is not None
            if not state.over:
                n, stopped_by = course.measured, over.stopped_by
                crew.finish(cell, over.status, stopped_by=stopped_by, n=n, reason=over.reason)
            usable = worker.loaded_group is not None and not worker.on_gpu
            usable = usable and state.status != "oom"
            if over.status in ("skipped", "cancelled"):
                usable = worker.loaded_group is not None
            if usable and worker.process.poll() is None and not steering.stops:
                return worker, True
            worker.end(GRACE_S if steering.stops < 2 else 0.1)
            return None, worker.loaded_group is not None or over.status == "skipped"
        except WorkerDied:
            if steering.stops or steering.skip:
                status: CellStatus = "cancelled" if steering.stops else "skipped"
                stopped_by = "stop" if steering.stops else "skip"
                crew.finish(cell, status, stopped_by=stopped_by, n=course.measured)
            elif not state.over:
                self._recorder.record(worker_failure.build_death_event(worker, state, course))
            worker.end()
            return None, True
        if not state.over:
            crew.finish(
                cell,
                "ok",
                stopped_by=course.stopped_by or "",
                n=course.measured,
                half_width=course.half_width(),
            )
        return worker, True

    def _iterate(self, worker: ChildProcess, cell: Cell, course: CellSchedule) -> None:
        while (block := course.next_block()) is not None or self._judge(course, last=True):
            if block is None:
                continue
            self._crew.wait_while_paused(worker)
            self._crew.iterate(worker, cell, *block)
            self._judge(course)

    def _judge(self, course: CellSchedule, last: bool = False) -> bool:
        """Records what the machine spoiled. Returns whether something has to be repeated."""
        verdicts = course.judge_blocks(last)
        for verdict in verdicts:
            self._recorder.record(verdict)
        return any(not verdict.kept for verdict in verdicts)
