"""Requests over the real pipe to a fake worker: load, queue, saturation, pause, stop and death."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import pytest

from support.fake_run import Run
from support.queue_formulas import compute_md1_wait_s
from support.waiting import WAIT_S, wait_until
from txtop.analysis import serving
from txtop.plan.matrix import TrafficPattern, expand_matrix
from txtop.plan.plan import Plan
from txtop.plan.serving import Serving
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.session import SessionState

SERVICE_S = 0.010


def plan(model: str, *loads: Serving, budget_s: float = 30.0, warmup: int = 3) -> Plan:
    offers: list[TrafficPattern] = [("dynamic", load) for load in loads]
    cells = expand_matrix(
        models=[model],
        precisions=["fp32"],
        attention=["sdpa"],
        batch_sizes=[1],
        sequence_lengths=[8],
        new_tokens=[4],
        weights="random",
        loads=offers,
    )
    return Plan(cells=cells, warmup=warmup, budget_s=budget_s)


def requests(folder: Path) -> list[events.Request]:
    every = [e for e in read_all(folder)[0] if isinstance(e, events.Request)]
    return [request for request in every if request.role == "measured"]


def service_s(answered: list[events.Request]) -> float:
    """Return the mean seconds between starts while requests wait: sleep and pipe included."""
    ordered = sorted(answered, key=lambda request: request.index)
    return fmean(
        (b.start_ns - a.start_ns) / 1e9 for a, b in pairwise(ordered) if b.arrival_ns < a.end_ns
    )


def one_at_a_time(folder: Path, count: int) -> tuple[Run, list[events.Request]]:
    """Return a run of requests at 60 % of what the server can answer, and these."""
    run = Run(folder, plan("ok", Serving(requests=count, rate=0.6 / SERVICE_S, max_batch=1)))
    run.run()
    cell = run.state.cells["c001"]
    assert (cell.status, cell.finished.stopped_by) == ("ok", "requests")  # type: ignore[union-attr]
    answered = sorted(requests(folder), key=lambda request: request.index)
    assert [request.index for request in answered] == list(range(count))
    return run, answered


def test_each_request_waits_for_those_before_it(tmp_path: Path) -> None:
    """Begin each when the one before it has ended, and most of them little later."""
    _, answered = one_at_a_time(tmp_path / "s", 300)
    free_ns, waits, added_ns = 0, 0, []
    for request in answered:
        waits += free_ns > request.arrival_ns
        added_ns.append(request.start_ns - max(request.arrival_ns, free_ns))
        free_ns = request.end_ns
    assert waits > len(answered) / 4
    assert min(added_ns) >= 0
    # Less than half a service time is added by pipes and by the sleep of the made-up worker.
    served_ns = median(request.end_ns - request.start_ns for request in answered)
    assert median(added_ns) < served_ns / 2


@pytest.mark.slow
def test_the_queue_is_as_long_as_the_md1_formula_says(tmp_path: Path) -> None:
    """Needs a calm machine: the formula is that of one service time."""
    run, answered = one_at_a_time(tmp_path / "s", 800)
    waited_s = fmean(request.start_ns - request.arrival_ns for request in answered) / 1e9
    taken_s = service_s(answered)
    assert taken_s == pytest.approx(SERVICE_S, rel=0.2)
    rate = 0.6 / SERVICE_S
    assert waited_s == pytest.approx(compute_md1_wait_s(taken_s, rate * taken_s), rel=0.20)
    late = serving.compute_lateness(run.state.cells["c001"])
    assert late is not None and late < 0.2


def test_clients_ask_again_when_they_are_answered(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", Serving(requests=60, concurrency=3, max_batch=4)))
    run.run()
    state = run.state.cells["c001"]
    answered = requests(tmp_path / "s")
    assert len(answered) == 60 and max(request.batch for request in answered) <= 3
    spans = [(request.arrival_ns, request.end_ns) for request in answered]
    open_at_once = [sum(a <= at < b for a, b in spans) for at, _ in spans]
    assert max(open_at_once) == 3
    totals = serving.count_totals(state)
    assert (totals.sent, totals.answered, totals.unanswered) == (60, 60, 0)
    assert (totals.prompt_tokens, totals.output_tokens) == (480, 240)


def test_more_than_the_server_can_do_ends_at_the_budget_as_saturated(tmp_path: Path) -> None:
    load = Serving(requests=100_000, rate=2000, max_batch=2)
    run = Run(tmp_path / "s", plan("ok", load, budget_s=2))
    run.run()
    state = run.state.cells["c001"]
    assert state.finished is not None
    assert (state.status, state.finished.stopped_by) == ("ok", "saturated")
    totals = serving.count_totals(state)
    assert (
        totals.answered == state.finished.n and totals.sent == totals.answered + totals.unanswered
    )
    assert 500 < totals.unanswered <= 1000


def test_a_share_is_of_what_the_clients_found(tmp_path: Path) -> None:
    everyone = Serving(requests=100, concurrency=1, max_batch=1)
    half = Serving(requests=40, share=0.5, max_batch=1)
    run = Run(tmp_path / "s", plan("ok", everyone, half))
    run.run()
    capacity = serving.summarise_rate(run.state.cells["c001"], "requests_per_s").mean
    offered = run.state.cells["c002"].served.offered
    assert capacity is not None and offered is not None
    assert offered.rate == pytest.approx(capacity / 2)
    assert run.state.cells["c002"].status == "ok"


def test_a_share_of_nothing_fails_with_a_word(tmp_path: Path) -> None:
    run = Run(tmp_path / "s", plan("ok", Serving(requests=10, share=0.5)))
    run.run()
    state = run.state.cells["c001"]
    assert state.status == "failed" and "capacity" in state.reason


class Slowly:
    """A run on a thread, and the number of requests answered so far."""

    def __init__(self, folder: Path, run_plan: Plan) -> None:
        self.folder = folder
        self.run = Run(folder, run_plan)
        self.run.thread.start()

    def wait(self, answered: int) -> None:
        wait_until(lambda: self.answered >= answered)

    @property
    def answered(self) -> int:
        state: SessionState = self.run.conductor.recorder.state
        return len(state.cells["c001"].samples.kept()) if state.cells else 0


def test_while_paused_nothing_comes_and_no_wait_is_counted(tmp_path: Path) -> None:
    live = Slowly(tmp_path / "s", plan("ok", Serving(requests=60, rate=60.0)))
    live.wait(10)
    paused_ns = time.perf_counter_ns()
    live.run.conductor.control.paused = True
    time.sleep(0.6)
    before = live.answered
    time.sleep(0.6)
    assert live.answered == before < 60
    paused_ns = time.perf_counter_ns() - paused_ns
    live.run.conductor.control.paused = False
    live.run.thread.join(WAIT_S)
    answered = requests(tmp_path / "s")
    assert len(answered) == 60
    assert max(request.start_ns - request.arrival_ns for request in answered) < paused_ns / 2


def test_a_stop_keeps_what_was_answered(tmp_path: Path) -> None:
    live = Slowly(tmp_path / "s", plan("slow", Serving(requests=5000, rate=100.0)))
    live.wait(10)
    live.run.conductor.control.stop("test")
    live.run.thread.join(WAIT_S)
    state = live.run.state.cells["c001"]
    assert state.status == "cancelled" and 10 <= len(state.samples.kept()) < 5000
    assert not [thread for thread in threading.enumerate() if thread.name == "offered load"]


@pytest.mark.parametrize(("model", "status"), [("dies-serving", "failed"), ("starves", "oom")])
def test_a_worker_that_ends_in_the_middle_ends_the_cell_alone(
    tmp_path: Path, model: str, status: str
) -> None:
    load = Serving(requests=200, rate=200.0, max_batch=1)
    other = Serving(requests=10, rate=200.0, max_batch=1)
    run = Run(tmp_path / "s", plan(model, load, other))
    run.run()
    first, second = run.state.cells["c001"], run.state.cells["c002"]
    assert first.status == status and len(first.samples.kept()) == 20
    assert second.status == "ok" and len(second.samples.kept()) == 10
