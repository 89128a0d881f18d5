"""The batching server on a simulated clock, against queueing theory."""

from __future__ import annotations

import random
from collections import deque

import pytest

from support.queue_formulas import compute_md1_wait_s
from txtop.protocol import commands
from txtop.worker.serving.batcher import Batcher, RequestQueue, StatusReporter, serve_batches


class Simulated:
    """A simulated clock and the orders that arrive on it."""

    def __init__(self, arrivals_ns: list[int]) -> None:
        self.now_ns = 0
        self._coming = deque(enumerate(arrivals_ns))

    def get(self, timeout_s: float | None) -> commands.WorkerCommand | None:
        assert timeout_s is not None
        if not self._coming:
            return commands.Close(cell="c001") if timeout_s else None
        index, at_ns = self._coming[0]
        until_ns = self.now_ns + round(timeout_s * 1e9)
        if at_ns > until_ns:
            self.now_ns = until_ns
            return None
        self._coming.popleft()
        self.now_ns = max(self.now_ns, at_ns)
        return commands.Arrive(
            cell="c001", index=index, role="measured", arrival_ns=at_ns, sent_ns=at_ns
        )

    def check(self) -> None:
        pass

    def accept(self, order: commands.WorkerCommand) -> None:
        raise AssertionError("nobody cancels")


def served(
    arrivals_ns: list[int], service_ns: int, max_batch: int = 1, max_wait_ns: int = 0
) -> list[tuple[int, list[int]]]:
    """Return start and request numbers of every batch."""
    clock = Simulated(arrivals_ns)
    batches: list[tuple[int, list[int]]] = []

    def run(batch: list[commands.Arrive]) -> None:
        batches.append((clock.now_ns, [request.index for request in batch]))
        clock.now_ns += service_ns

    reporter = StatusReporter("c001", max_batch, lambda _: None, lambda: clock.now_ns)
    serve_batches(
        RequestQueue("c001", clock),
        Batcher(max_batch, max_wait_ns),
        reporter,
        run,
        lambda: clock.now_ns,
    )
    return batches


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_at_a_time_waits_as_long_as_the_md1_formula_says(load: float) -> None:
    service_s, count = 0.05, 50_000
    random_ = random.Random(7)
    at, arrivals = 0.0, []
    for _ in range(count):
        at += random_.expovariate(load / service_s)
        arrivals.append(round(at * 1e9))
    batches = served(arrivals, round(service_s * 1e9))
    assert [index for _, own in batches for index in own] == list(range(count))
    waits = [start - arrivals[own[0]] for start, own in batches]
    mean_s = sum(waits) / count / 1e9
    assert mean_s == pytest.approx(compute_md1_wait_s(service_s, load), rel=0.10)


def test_a_batch_starts_when_it_is_full_or_its_first_has_waited_long_enough() -> None:
    ms = 1_000_000
    arrivals = [0, 5 * ms, 7 * ms, 100 * ms]
    batches = served(arrivals, 10 * ms, max_batch=3, max_wait_ns=20 * ms)
    assert batches == [(7 * ms, [0, 1, 2]), (100 * ms, [3])]
    # Somebody may still come: the lone first request waits for its 20 ms.
    batches = served([0, 500 * ms], 10 * ms, max_batch=3, max_wait_ns=20 * ms)
    assert batches[0] == (20 * ms, [0])
    # It is the first that has waited long enough, whoever came after it.
    batches = served([0, 15 * ms, 500 * ms], 10 * ms, max_batch=3, max_wait_ns=20 * ms)
    assert batches[0] == (20 * ms, [0, 1])


def test_those_that_came_during_a_batch_make_the_next_one() -> None:
    ms = 1_000_000
    batches = served([0, ms, 2 * ms, 3 * ms, 4 * ms], 50 * ms, max_batch=3)
    assert batches == [(0, [0]), (50 * ms, [1, 2, 3]), (100 * ms, [4])]
