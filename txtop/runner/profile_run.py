"""Conduct the profiled passes: how long a GPU computes in one step of a cell that was measured."""

from __future__ import annotations

from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.runner import worker_failure
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.state.pending_work import find_pending_profiles


class ProfileRun:
    """Run the pending passes. One that fails costs its own figures and nothing else.

    Each has a worker of its own that is then thrown away: a profiler that has seen the device slows
    down its process for good.
    """

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._recorder, self._control = client.recorder, client.control
        self._tried: set[str] = set()

    def run(self) -> None:
        """Run every pass that is pending now, until the run is stopped."""
        while not self._control.stops and (cell := self._find_next()) is not None:
            self._control.skip = False
            self._tried.add(cell.id)
            reason = self._profile(cell)
            # A pass that has no event would be pending for ever.
            if not self._control.stops and cell.id not in self._recorder.state.device_times:
                self._recorder.record(events.DeviceTime(t_ns=now_ns(), cell=cell.id, failed=reason))

    def _find_next(self) -> Cell | None:
        """Return a cell whose pass is pending and was not tried in this run."""
        pending = find_pending_profiles(self._recorder.state)
        return next((cell for cell in pending if cell.id not in self._tried), None)

    def _profile(self, cell: Cell) -> str:
        """Profile `cell`. Return why there is no event of it, if there is none."""
        self._recorder.record(
            events.Log(
                t_ns=now_ns(), text=f"the GPU in a step of {labels.format_short_label(cell)}"
            )
        )
        worker = self._client.start_worker()
        command = commands.Profile(
            cell=cell,
            started_ns=worker.started_ns,
            seed=self._client.plan.seed,
            allowed=self._client.plan.allowed,
        )
        self._client.start_deadline(self._client.plan.timeout_s)
        try:
            self._client.wait_while_paused(worker)
            self._client.ask(worker, command, cell, events.DeviceTime, killable=True)
            return ""
        except CellEnded as over:
            return "skipped" if self._control.skip else over.reason or over.status
        except WorkerDied:
            skipped = self._control.skip
            return "skipped" if skipped else worker_failure.diagnose_death(worker)[1]
        finally:
            worker.end(0.1 if self._control.stops else 1.0)
