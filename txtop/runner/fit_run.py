"""Conduct the search of `txtop fit`: one probe after the other, each chosen by those before."""

from __future__ import annotations

from txtop.forecast.edge import choose_next_probe
from txtop.plan.plan import EdgeSearch
from txtop.protocol import events
from txtop.runner.child_process import ChildProcess
from txtop.runner.matrix_run import MatrixRun
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import WorkerClient


class FitRun:
    """Run probes until both sides of each edge are known, or the run is stopped.

    Probes share a worker while it lasts; one that ran out of memory is replaced.
    """

    def __init__(self, client: WorkerClient, search: EdgeSearch) -> None:
        self._client, self._search = client, search
        self._recorder, self._control = client.recorder, client.control
        self._cells = MatrixRun(client, (), frozenset())

    def run(self) -> None:
        """Run the probes that are missing."""
        worker: ChildProcess | None = None
        tried: set[str] = set()
        try:
            while not self._control.stops:
                probe = choose_next_probe(self._recorder.state, self._search)
                # One that a person skipped has no outcome, and nothing else can be told without it.
                if probe is None or probe.cell.id in tried:
                    return
                tried.add(probe.cell.id)
                self._recorder.record(
                    events.Probe(
                        t_ns=now_ns(), added=probe.cell, forecast_bytes=probe.forecast_bytes
                    )
                )
                if self._client.refuse(probe.cell):
                    continue
                if worker is None:
                    worker = self._client.start_worker()
                worker, _ = self._cells.run_cell(worker, probe.cell)
        finally:
            if worker is not None:
                worker.end()
