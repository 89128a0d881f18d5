"""Conduct a cell that serves requests: its warm-up, the offered load, and its end."""

from __future__ import annotations

import time

from txtop.analysis import metrics, serving
from txtop.plan import requests
from txtop.plan.cell import Cell
from txtop.plan.serving import Serving
from txtop.protocol import commands, events
from txtop.protocol.events import AnyEvent
from txtop.runner.child_process import ChildProcess
from txtop.runner.load_generator import LoadGenerator, SendRequest
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient
from txtop.state.cell import CellState
from txtop.stats.queueing import is_saturated
from txtop.stats.stopping import OVERRUN
from txtop.units import NS_PER_S


class ServingRun:
    """Run one serving cell, from its first warm-up request to its last answer."""

    def __init__(self, client: WorkerClient, cell: Cell, state: CellState) -> None:
        assert cell.serving is not None
        self._client, self._cell, self._state = client, cell, state
        self._serving: Serving = cell.serving
        self._is_idle = False
        self.stopped_by = ""
        self.stage = "warming"

    @property
    def measured(self) -> int:
        """The number of requests that were answered."""
        return len(self._state.samples.kept())

    def compute_half_width(self) -> float | None:
        """Return half the interval of the headline metric as a share of it."""
        return metrics.summarise_live(
            self._state, metrics.choose_headline_metric(self._state)
        ).half_width

    def run(self, worker: ChildProcess) -> None:
        """Warm up, offer the load, and close the server.

        Raises:
            CellEnded: the cell ended before its time.
            WorkerDied: the worker died.
        """
        client, cell = self._client, self._cell
        rate = self._compute_rate()
        if cell.scenario != "continuous":
            client.ask(worker, commands.Inspect(cell=cell.id), cell, events.Kernels)
        worker.send(commands.Serve(cell=cell.id))
        self._warm_up(worker)
        self.stage = "measuring"
        self._offer_load(worker, rate)
        if self._is_idle:
            worker.send(commands.Close(cell=cell.id))
        else:
            client.cancel(worker, cell)

    def _compute_rate(self) -> float | None:
        """Return the request rate per second, None for a closed loop.

        Raises:
            CellEnded: the rate is a share of a capacity that was not measured.
        """
        share = self._serving.share
        if share is None:
            return self._serving.rate
        cell = self._client.plan.find_capacity_cell(self._cell)
        base = self._client.recorder.state.cells[cell.id] if cell is not None else None
        capacity = serving.summarise_rate(base, "requests_per_s").mean if base is not None else None
        if base is None or not base.over or not capacity:
            raise CellEnded(
                "failed", reason="the capacity that its rate is a share of is not known"
            )
        return share * capacity

    @property
    def _clients(self) -> int:
        """The number of clients of a closed loop."""
        return self._serving.concurrency or self._cell.slots

    def _warm_up(self, worker: ChildProcess) -> None:
        """Send the warm-up requests, two full batches or the plan's count, a batch at a time.

        No batch begins later than half a budget after the first one.
        """
        plan, sent = self._client.plan, 0
        planned = plan.warmup_requests(self._cell)
        until_s = time.monotonic() + (OVERRUN - 1) * plan.budget_s
        while sent < planned and (not sent or time.monotonic() < until_s):
            batch = range(sent, min(planned, sent + self._cell.slots))
            self._wait_for_batch(worker, batch)
            sent = batch.stop

    def _wait_for_batch(self, worker: ChildProcess, batch: range) -> None:
        for index in batch:
            now = now_ns()
            worker.send(
                commands.Arrive(
                    cell=self._cell.id, index=index, role="warmup", arrival_ns=now, sent_ns=now
                )
            )
        unanswered = len(batch)

        def is_over(event: AnyEvent | None) -> bool:
            nonlocal unanswered
            unanswered -= isinstance(event, events.Request)
            return unanswered <= 0

        self._client.wait_for(worker, self._cell, is_over)

    def _offer_load(self, worker: ChildProcess, rate: float | None) -> None:
        client, serving_options = self._client, self._serving
        arrivals = (
            None
            if rate is None
            else requests.draw_arrivals_ns(rate, client.plan.seed, serving_options.requests)
        )
        generator = LoadGenerator(
            self._build_sender(worker), serving_options.requests, arrivals, self._clients
        )
        self._record_offered(rate, 0)
        until_s = time.monotonic() + client.plan.budget_s

        def is_over(event: AnyEvent | None) -> bool:
            nonlocal until_s
            if isinstance(event, events.Request) and event.role == "measured":
                generator.count_answer()
            if client.control.paused:
                generator.pause()
                return False
            paused_s = generator.resume()
            if paused_s:
                client.extend_deadline(paused_s)
                until_s += paused_s
            return generator.answers == serving_options.requests or time.monotonic() > until_s

        generator.start()
        try:
            client.wait_for(worker, self._cell, is_over)
        finally:
            generator.stop()
            self._record_offered(rate, generator.sent)
        self.stopped_by = self._find_stop_reason(generator)

    def _find_stop_reason(self, generator: LoadGenerator) -> str:
        """Return why the load ended: "requests", "budget", or "saturated".

        Saturated: more requests arrived than could be served.
        """
        order = serving.sort_by_arrival(self._state)
        served = self._state.served
        arrivals, starts, ends = (
            [column[i] / NS_PER_S for i in order]
            for column in (served.arrival_ns, served.started_ns, served.end_ns)
        )
        saturated = self._serving.open_loop and (
            generator.held_back or is_saturated(arrivals, starts, ends, self._cell.slots)
        )
        unanswered = generator.sent - generator.answers
        if self._serving.open_loop and unanswered > 2 * self._cell.slots:
            saturated = True
        self._is_idle = unanswered == 0
        if saturated:
            return "saturated"
        complete = generator.sent == self._serving.requests and not unanswered
        return "requests" if complete else "budget"

    def _build_sender(self, worker: ChildProcess) -> SendRequest:
        def send(index: int, arrival_ns: int, sent_ns: int) -> None:
            worker.send(
                commands.Arrive(
                    cell=self._cell.id,
                    index=index,
                    role="measured",
                    arrival_ns=arrival_ns,
                    sent_ns=sent_ns,
                )
            )

        return send

    def _record_offered(self, rate: float | None, sent: int) -> None:
        self._client.recorder.record(
            events.OfferedLoad(
                t_ns=now_ns(),
                cell=self._cell.id,
                requests=self._serving.requests,
                rate=rate,
                clients=None if rate is not None else self._clients,
                sent=sent,
            )
        )
