"""Saturation, intervals under dependence, and the knee, on simulated queues."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from support.queue_formulas import compute_md1_wait_s
from txtop.stats.intervals import compute_student_t_interval
from txtop.stats.queueing import (
    compute_batch_means_interval,
    find_knee,
    is_saturated,
)

Queue = tuple[list[float], list[float], list[float]]


def md1(load: float, count: int, seed: int) -> Queue:
    """Return arrivals, starts and ends of a server that takes 1 s a request."""
    random_ = random.Random(seed)
    at = free = 0.0
    arrivals, starts = [], []
    for _ in range(count):
        at += random_.expovariate(load)
        start = max(at, free)
        free = start + 1.0
        arrivals.append(at)
        starts.append(start)
    return arrivals, starts, [start + 1.0 for start in starts]


@pytest.mark.parametrize(
    ("load", "count", "least", "most"),
    [(0.5, 150, 0.0, 0.01), (0.8, 150, 0.0, 0.02), (1.2, 150, 0.95, 1.0), (2.0, 40, 0.98, 1.0)],
)
def test_a_server_over_its_capacity_is_told_from_one_that_is_busy(
    load: float, count: int, least: float, most: float
) -> None:
    share = sum(is_saturated(*md1(load, count, seed), 1) for seed in range(300)) / 300
    assert least <= share <= most


def test_one_value_and_values_at_once_are_no_saturation() -> None:
    assert not is_saturated([], [], [], 1)
    assert not is_saturated([1.0] * 5, [1, 2, 3, 4, 5], [2, 3, 4, 5, 6], 1)


def test_batches_of_neighbours_promise_what_they_keep() -> None:
    """In a queue at 70 % the interval of single values holds the mean far too seldom."""
    true = compute_md1_wait_s(1.0, 0.7)
    held = {"batches": 0, "single values": 0}
    for seed in range(300):
        arrivals, starts, _ = md1(0.7, 2200, seed)
        waits = [s - a for a, s in zip(arrivals, starts, strict=True)][200:]
        for name, interval in (
            ("batches", compute_batch_means_interval(waits)),
            ("single values", compute_student_t_interval(waits)),
        ):
            assert interval is not None
            held[name] += interval[0] <= true <= interval[1]
    assert held["batches"] / 300 > 0.86
    assert held["single values"] / 300 < 0.55


def test_batch_means_need_twenty_values() -> None:
    assert compute_batch_means_interval([1.0] * 19) is None
    assert compute_batch_means_interval([1.0, 2.0] * 10) == pytest.approx((1.5, 1.5))


def test_the_knee_of_a_queue_is_where_power_is_highest() -> None:
    loads = [0.1, 0.3, 0.5, 0.6, 0.8, 0.95]
    times = [1 + compute_md1_wait_s(1.0, load) for load in loads]
    # Of M/D/1 the power is highest at a load of 2 - sqrt(2) = 0.586.
    assert find_knee(loads, times) == 3
    assert find_knee([], []) is None
    assert fmean(times) > 1
