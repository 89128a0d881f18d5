"""Judge, before the lanes start, what its neighbours cost each place: alone against beside them.

The work is that of one cell, loaded in every place. Its events are not recorded, but for the
outcome of each place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from txtop.analysis import contention
from txtop.plan.cell import Cell
from txtop.plan.plan import DEFAULT_MARGIN
from txtop.protocol import commands, events
from txtop.protocol.events import AnyEvent, Contention, Role
from txtop.runner import worker_failure
from txtop.runner.block_validity import NEIGHBOURS_VARIABLE
from txtop.runner.child_process import ChildProcess
from txtop.runner.recorder import now_ns
from txtop.runner.worker_client import CellEnded, WorkerClient, WorkerDied
from txtop.stats.paired import compute_paired_ratio
from txtop.units import NS_PER_S

CELL = "neighbours"
"""The id of the work, which is no cell of the plan."""
BLOCK_NS = 200_000_000
MOST_ROUNDS, LEAST_ROUNDS = 6, 4
BUDGET_S = 60.0
WARMUP = 2


class _Given(Exception):
    """The check has ended without an outcome, for a reason."""


def judge_isolation(
    place: str,
    alone_ns: Sequence[float],
    beside_ns: Sequence[float],
    margin: float,
    taken: Sequence[Contention] = (),
) -> events.Isolation:
    """Build the outcome of a place from its rounds: a block alone, and one beside the others.

    The ratio is that of the pairs, which a drift of the machine leaves as it is. What others have
    `taken` meanwhile cannot be told from what neighbours cost, so then there is none.
    """
    if taken:
        use = ", ".join(map(contention.describe_contention, taken))
        return events.Isolation(
            t_ns=now_ns(), place=place, rounds=len(alone_ns), margin=margin,
            failed=f"this machine was {contention.BUSY}: {use}",
        )  # fmt: skip
    ratio = compute_paired_ratio(beside_ns, alone_ns)
    return events.Isolation(
        t_ns=now_ns(),
        place=place,
        rounds=len(alone_ns),
        margin=margin,
        ratio=ratio.ratio if ratio is not None else None,
        ci95=ratio.ci95 if ratio is not None else None,
        failed="" if ratio is not None else "too few rounds",
    )


class IsolationRun:
    """Run the work of `cell` in each place alone and in all at once, in turns, and record ratios.

    `lanes` are the clients of the places; they are used from this thread, before their own start.
    """

    def __init__(self, client: WorkerClient, lanes: Mapping[str, WorkerClient], cell: Cell) -> None:
        self._client, self._lanes = client, lanes
        self._cell = msgspec.structs.replace(cell, id=CELL, scenario="static", serving=None)
        self._workers: dict[str, ChildProcess] = {}
        self._indices = dict.fromkeys(lanes, 0)

    def run(self) -> None:
        """Judge every place. What fails costs the judgement alone."""
        self._client.drop_late_skip()
        text = f"alone against beside its neighbours: {', '.join(self._lanes)}"
        self._client.recorder.record(events.Log(t_ns=now_ns(), text=text))
        outcomes: list[events.Isolation] = []
        self._report()
        try:
            outcomes = self._measure()
        except _Given as end:
            outcomes = [
                events.Isolation(
                    t_ns=now_ns(), place=place, rounds=0, margin=DEFAULT_MARGIN, failed=str(end)
                )
                for place in self._lanes
            ]
        finally:
            for worker in self._workers.values():
                worker.end(0.1)
        if not self._client.control.stops:
            for outcome in outcomes:
                self._client.recorder.record(outcome)

    def _measure(self) -> list[events.Isolation]:
        for place, lane in self._lanes.items():
            worker = self._workers[place] = lane.start_worker(recorded=False)
            worker.send(lane.build_load(worker, self._cell))
        self._await_all(events.ModelLoaded)
        for worker in self._workers.values():
            worker.send(commands.Prepare(cell=self._cell))
        self._await_all(events.Workload)
        # Iterations that are not measured look for NaN, which takes time of its own.
        self._work(list(self._lanes), dict.fromkeys(self._lanes, WARMUP), role="first")
        warm_ns = self._work(list(self._lanes), dict.fromkeys(self._lanes, WARMUP))
        longest_s = max(warm_ns.values()) / NS_PER_S
        counts = {place: max(1, round(BLOCK_NS / ns)) for place, ns in warm_ns.items()}
        block_s = max(BLOCK_NS / NS_PER_S, longest_s)
        affordable = int(BUDGET_S / block_s / (1 + len(self._lanes)))
        rounds = max(LEAST_ROUNDS, min(MOST_ROUNDS, affordable))
        alone: dict[str, list[float]] = {place: [] for place in self._lanes}
        beside: dict[str, list[float]] = {place: [] for place in self._lanes}
        since_ns = self._client.recorder.state.clock_ns
        for number in range(rounds):
            self._report(number, rounds)
            # Every other round begins with all of them, so that a drift favours neither.
            for together in (number % 2 == 0, number % 2 != 0):
                for places in [list(self._lanes)] if together else [[p] for p in self._lanes]:
                    for place, ns in self._work(places, counts).items():
                        (beside if together else alone)[place].append(ns)
        taken = self._find_taken(since_ns)
        return [judge_isolation(p, alone[p], beside[p], DEFAULT_MARGIN, taken) for p in self._lanes]

    def _find_taken(self, since_ns: int) -> list[Contention]:
        """Return what others took since then, second by second: they come and go."""
        state = self._client.recorder.state
        if os.environ.get(NEIGHBOURS_VARIABLE) == "ignore":
            return []
        starts = range(since_ns, state.clock_ns, NS_PER_S)
        windows = ((from_ns, min(from_ns + NS_PER_S, state.clock_ns)) for from_ns in starts)
        return contention.sum_up((1, contention.find_use(state, *ends)) for ends in windows)

    def _report(self, done: int = 0, rounds: int = 0) -> None:
        """Record how far the check is, for the screen."""
        progress = events.IsolationProgress(
            t_ns=now_ns(), places=tuple(self._lanes), done=done, rounds=rounds
        )
        self._client.recorder.record(progress)

    def _work(
        self, places: list[str], counts: Mapping[str, int], role: Role = "measured"
    ) -> dict[str, float]:
        """Run a block in all `places` at once. Return the middle duration of an iteration of each.

        Their blocks last equally long, by the `counts` of iterations.
        """
        while self._client.control.paused and not self._client.control.stops:
            self._client.receive(None)
        for place in places:
            index, count = self._indices[place], counts[place]
            self._indices[place] += count
            command = commands.Iterate(cell=CELL, role=role, index=index, count=count)
            self._workers[place].send(command)
        return {
            place: float(median(self._await_iterations(place, counts[place]))) for place in places
        }

    def _await_iterations(self, place: str, count: int) -> list[int]:
        answers = self._await(place, events.Iteration, count)
        return [event.e2e_ns for event in answers if isinstance(event, events.Iteration)]

    def _await_all(self, answer: type[AnyEvent]) -> None:
        for place in self._lanes:
            self._await(place, answer)

    def _await(self, place: str, answer: type[AnyEvent], count: int = 1) -> list[AnyEvent]:
        """Wait for `count` events of the type `answer` in `place`, and return them.

        Raises:
            _Given: they do not come.
        """
        lane, worker = self._lanes[place], self._workers[place]
        lane.start_deadline(self._client.plan.timeout_s)
        answers: list[AnyEvent] = []

        def is_over(event: AnyEvent | None) -> bool:
            # The main client looks after signals and the sampler meanwhile.
            self._client.receive(None, 0.0)
            if self._client.control.skip:
                self._client.control.skip = False
                raise _Given("skipped")
            if isinstance(event, answer):
                answers.append(event)
            return len(answers) == count

        # A load has no events: its work is a sign of life.
        watch = lane.watch(worker) if answer is events.ModelLoaded else None
        try:
            lane.wait_for(worker, self._cell, is_over, watch=watch)
        except CellEnded as end:
            raise _Given(end.reason or f"{place}: its work is {end.status}") from None
        except WorkerDied:
            raise _Given(f"{place}: {worker_failure.diagnose_death(worker)[1]}") from None
        return answers
