"""Conduct a matrix side by side: a lane for each place of the plan, with a worker of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from txtop.forecast.dealing import order_groups
from txtop.formatting import format_count
from txtop.plan.cell import Cell
from txtop.protocol import events
from txtop.runner.isolation_run import IsolationRun
from txtop.runner.matrix_run import MatrixRun, OtherRun
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import WorkerClient


class LanesRun:
    """Measure the cells of a plan whose ids are `missing`, one after the other in each place.

    Cells that share weights stay together. First it is judged what neighbours cost each place. What
    is pending of `others` is done once all lanes have ended, so that it disturbs none. `clients`
    are those of the places.
    """

    def __init__(
        self,
        client: WorkerClient,
        clients: Mapping[str, WorkerClient],
        others: tuple[OtherRun, ...],
        missing: frozenset[str],
    ) -> None:
        self._client, self._clients = client, clients
        self._matrix = MatrixRun(client, others, missing)
        self._waiting: list[list[Cell]] = []
        self._guard = threading.Lock()
        self._errors: list[BaseException] = []

    def run(self) -> None:
        """Measure every cell, until the run is stopped.

        Raises what a lane raised; the others are then stopped.
        """
        self._matrix.run_others()
        plan = self._client.plan
        self._waiting = order_groups(self._matrix.list_waiting_groups(), plan)
        used = dict([*self._clients.items()][: len(self._waiting)])
        if idle := len(self._clients) - len(used):
            text = (
                f"{format_count(idle, 'place')} of {len(self._clients)} idle: cells that share"
                f" weights stay together, in {format_count(len(used), 'group')}"
            )
            self._client.recorder.record(events.Log(t_ns=now_ns(), text=text))
        if len(used) > 1:
            IsolationRun(self._client, used, self._waiting[0][0]).run()
        lanes = [
            threading.Thread(target=self._run_lane, args=(client,), name=f"lane {place}")
            for place, client in used.items()
        ]
        try:
            for lane in lanes:
                lane.start()
            while any(lane.is_alive() for lane in lanes):
                self._client.receive(None)
        except BaseException:
            self._client.control.abandon()
            raise
        finally:
            for lane in lanes:
                if lane.ident is not None:
                    lane.join()
        if self._errors:
            raise self._errors[0]
        self._matrix.run_others()

    def _run_lane(self, client: WorkerClient) -> None:
        """Measure the next group as long as there is one. Its workers end with this thread."""
        cells = MatrixRun(client, (), frozenset())
        try:
            while not client.control.stops and (group := self._take_group()):
                cells.run_group(group)
            client.drop_late_skip()
        except BaseException as error:
            self._errors.append(error)
            client.control.abandon()

    def _take_group(self) -> list[Cell]:
        with self._guard:
            return self._waiting.pop(0) if self._waiting else []
