"""Joules from a counter or from power: worked by hand, and as properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
from hypothesis import given
from hypothesis import strategies as st

from txtop.stats.energy import Energy, TimeSeries, compute_energy, subtract_idle

S = 1_000_000_000
NONE: TimeSeries = ((), ())
BACKWARDS = "the energy counter ran backwards"


def _series(*points: tuple[float, float]) -> TimeSeries:
    return [round(at * S) for at, _ in points], [value for _, value in points]


def _every(step: float, until: float, value: float = 100.0) -> TimeSeries:
    return _series(*((i * step, value) for i in range(round(until / step) + 1)))


def test_the_counters_difference_is_interpolated_at_the_ends() -> None:
    # 10 J at 0 s to 110 J at 1 s: 60 J at 0.5 s. 210 J at 3 s to 250 J at 4 s: 220 J at 3.25 s.
    counter = _series((0, 10), (1, 110), (2, 130), (3, 210), (4, 250))
    energy = compute_energy(counter, NONE, S // 2, S * 13 // 4)
    assert energy == Energy(2.75, 160.0, "counter")
    assert energy.watts == 160 / 2.75


def test_without_a_counter_power_is_integrated_and_the_result_says_so() -> None:
    # 0.5 s of 150 to 200 W, 1 s of 200 to 100 W, 1 s of 100 W: 87.5 + 150 + 100 J.
    power = _series((0, 100), (1, 200), (2, 100), (3, 100))
    unread = _series((0, math.nan), (1, math.nan), (2, math.nan), (3, math.nan))
    for counter in (NONE, unread):
        assert compute_energy(counter, power, S // 2, 3 * S) == Energy(
            2.5, 337.5, "integrated power"
        )


def test_the_counter_goes_first_and_its_faults_are_not_papered_over() -> None:
    power = _every(0.5, 4)
    counter = _series((0, 0), (1, 50), (2, 100), (3, 150), (4, 200))
    assert compute_energy(counter, power, 0, 4 * S).joules == 200
    reloaded = _series((0, 500), (1, 550), (2, 3), (3, 53), (4, 103))
    assert compute_energy(reloaded, power, 0, 4 * S) == Energy(4, None, "counter", BACKWARDS)
    assert compute_energy(reloaded, power, 2 * S, 4 * S).joules == 100


@pytest.mark.parametrize(
    ("counter", "power", "reason"),
    [
        (NONE, NONE, "neither energy nor power was read"),
        (_series((1, 5), (2, 9), (4, 12)), NONE, "not read from beginning to end"),
        (_series((0, 5), (1, 5), (3.9, 12)), NONE, "not read from beginning to end"),
        (_series((-1, 5), (0.5, 6), (4, 12)), NONE, "not read for over 1 s"),
        (_series((0, 5), (3, 6), (4.5, 12)), NONE, "not read for over 1 s"),
        (NONE, _series((0, 9), (1, 9), (2, math.nan), (3, 9), (4, 9)), "power was not read"),
        (NONE, _series((0.1, 9), (1, 9), (2, 9), (3, 9), (4, 9)), "not read from beginning"),
    ],
)
def test_what_was_not_read_is_null_with_a_reason(
    counter: TimeSeries, power: TimeSeries, reason: str
) -> None:
    energy = compute_energy(counter, power, 0, 4 * S)
    assert energy.joules is None and energy.watts is None
    assert reason in energy.reason


def test_a_counter_may_go_unread_inside_an_interval_but_power_may_not() -> None:
    counter, power = _series((0, 5), (4, 45)), _series((0, 10), (4, 10))
    assert compute_energy(counter, NONE, 0, 4 * S).joules == 40
    assert compute_energy(NONE, power, 0, 4 * S).joules is None
    assert compute_energy(NONE, _every(1.0, 4), 0, 4 * S).joules == 400


def test_nothing_under_two_seconds() -> None:
    power = _every(0.2, 4)
    assert compute_energy(NONE, power, 0, 2 * S - 1) == Energy(
        (2 * S - 1) / S, reason="shorter than 2 s"
    )
    assert compute_energy(NONE, power, 0, 2 * S).joules == pytest.approx(200)
    assert compute_energy(NONE, power, 3 * S, 0).joules is None


def test_net_is_without_the_idle_power_all_the_while() -> None:
    gross = Energy(10, 3500.0, "counter")
    assert subtract_idle(gross, 70.0) == Energy(10, 2800.0, "counter")
    assert subtract_idle(gross, 350.0).joules == 0
    less = subtract_idle(gross, 351.0)
    assert (less.joules, less.reason) == (None, "less than idle power takes")
    unknown = Energy(1, reason="shorter than 2 s")
    assert subtract_idle(unknown, 70.0) == unknown


@st.composite
def readings(draw: st.DrawFn) -> tuple[list[int], list[float], tuple[int, int, int]]:
    """Draw times at most a second apart, a value at each, and two adjacent intervals of 2 s or
    more.
    """
    steps = draw(st.lists(st.integers(S // 5, S), min_size=30, max_size=60))
    at = [int(t) for t in np.cumsum(steps)]
    values = draw(st.lists(st.floats(0, 1e6), min_size=len(at), max_size=len(at)))
    a = draw(st.integers(at[0], at[-1] - 4 * S))
    b = draw(st.integers(a + 2 * S, at[-1] - 2 * S))
    return at, values, (a, b, draw(st.integers(b + 2 * S, at[-1])))


@given(readings())
def test_of_a_counter_adjacent_intervals_add_up_and_none_is_negative(
    made: tuple[list[int], list[float], tuple[int, int, int]],
) -> None:
    at, rises, (a, b, c) = made
    counter = at, [float(value) for value in np.cumsum(rises)]
    first, second, both = (
        compute_energy(counter, NONE, *span).joules for span in ((a, b), (b, c), (a, c))
    )
    assert first is not None and second is not None and both is not None
    assert min(first, second) >= 0
    assert first + second == pytest.approx(both, rel=1e-9, abs=1e-6)


@given(readings(), st.floats(0, 1e6))
def test_integrated_power_agrees_with_scipy_and_is_never_negative(
    made: tuple[list[int], list[float], tuple[int, int, int]], idle_w: float
) -> None:
    at, watts, (low, _, high) = made
    energy = compute_energy(NONE, (at, watts), low, high)
    left = subtract_idle(energy, idle_w).joules
    assert left is None or left >= 0
    inside = np.array([low, *(t for t in at if low < t < high), high], dtype=float)
    expected = scipy.integrate.trapezoid(np.interp(inside, at, watts), inside / S)
    assert energy.joules is not None and energy.joules >= 0
    assert energy.joules == pytest.approx(expected, rel=1e-6, abs=1e-3)
