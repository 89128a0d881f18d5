"""Warm-up, changepoints and trends: against ruptures and scipy, and in edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import ruptures
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from txtop.stats import steady_state, warmup
from txtop.stats.steady_state import judge_series
from txtop.stats.trend import MAX_POINTS, estimate_trend

durations = st.lists(st.floats(1e-3, 1e9), max_size=60)


def white(kind: str, n: int, random: np.random.RandomState) -> list[float]:
    drawn = random.normal(100, 5, n) if kind == "normal" else random.lognormal(4, 0.3, n)
    return [float(v) for v in drawn]


# The live gate


def test_the_gate_wants_two_windows_and_medians_within_one_percent() -> None:
    assert not warmup.is_flat([5.0] * 19)
    assert warmup.is_flat([5.0] * 20)
    assert not warmup.is_flat([5.06] * 10 + [5.0] * 10)
    assert warmup.is_flat([9.0] * 10 + [5.04] * 10 + [5.0] * 10)


def test_the_gate_asks_for_what_can_change_its_mind() -> None:
    assert [warmup.suggest_iterations(n) for n in (0, 5, 19, 20, 25)] == [20, 15, 1, 10, 10]
    assert warmup.is_budget_spent(7.5, 30) and not warmup.is_budget_spent(7.4, 30)


def _readings(values: list[float], every_s: float = 0.2) -> list[tuple[float, float]]:
    return [(7.0 + i * every_s, v) for i, v in enumerate(values)]


def test_a_gpu_is_settled_within_1_percent_of_its_clock() -> None:
    flat = _readings([1980.0] * 50)
    assert warmup.is_settled(flat)
    assert not warmup.is_settled(flat[:10])  # under 2 s
    assert not warmup.is_settled([])
    slower = [_readings([1980.0] * 25 + [1980.0 * k] * 25) for k in (0.995, 0.985)]
    assert [warmup.is_settled(s) for s in slower] == [True, False]
    assert warmup.is_settled(_readings([1200.0] * 50 + [1980.0] * 50))  # long ago


def test_the_gate_leaves_little_of_an_exponential_warm_up() -> None:
    """The first 50 iterations after the gate are biased by under 1 %, those after 3 by more."""
    random = np.random.RandomState(3)
    gated, fixed = [], []
    for _ in range(200):
        x = (1 + 0.5 * np.exp(-np.arange(200) / 8)) * random.normal(1, 0.005, 200)
        at = next(n for n in range(20, 150) if warmup.is_flat(list(x[:n])))
        gated.append(x[at : at + 50].mean() - 1)
        fixed.append(x[3:53].mean() - 1)
    assert np.mean(gated) < 0.01 < np.mean(fixed)


# Changepoints


@pytest.mark.parametrize("seed", range(12))
def test_changepoints_equal_those_of_ruptures(seed: int) -> None:
    random = np.random.RandomState(seed)
    cuts = sorted(random.choice(np.arange(4, 76), 3, replace=False))
    levels = np.repeat(random.normal(0, 4, 4), np.diff([0, *cuts, 80]))
    x = levels + random.normal(0, 1, 80)
    cost = steady_state.compute_penalty(80)
    own = steady_state.find_changepoints(list(x), cost)
    signal = x.reshape(-1, 1)
    exact = ruptures.Dynp(model="l2", min_size=2, jump=1).fit(signal)
    assert own == (exact.predict(n_bkps=len(own))[:-1] if own else [])
    pelt = ruptures.Pelt(model="l2", min_size=2, jump=1).fit(signal).predict(pen=cost)[:-1]

    def total(edges: list[int]) -> float:
        parts = np.split(x, edges)
        return sum(((p - p.mean()) ** 2).sum() for p in parts) + cost * len(edges)

    assert total(own) <= total(pelt) + 1e-9


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
@pytest.mark.parametrize(("n", "most"), [(10, 0.05), (30, 0.04), (100, 0.02)])
def test_white_noise_is_seldom_taken_for_warm_up(kind: str, n: int, most: float) -> None:
    random = np.random.RandomState(n)
    verdicts = [judge_series(white(kind, n, random)) for _ in range(300)]
    assert sum(f.start > 0 for f in verdicts) / 300 <= most
    assert sum(f.steady is False for f in verdicts) / 300 <= 0.03


@pytest.mark.parametrize("late", [2, 3, 6])
def test_warm_up_that_went_on_is_dropped_and_said(late: int) -> None:
    random = np.random.RandomState(late)
    x = random.normal(100, 0.5, 30)
    x[:late] *= 1.3
    verdict = judge_series(list(x))
    assert verdict.start == late and verdict.steady
    assert verdict.notes[0] == f"{late} more iterations dropped as warm-up"


def test_warm_up_in_stages_is_dropped_as_a_whole() -> None:
    x = np.repeat([200.0, 150.0, 120.0, 100.0], [4, 4, 4, 40]) * np.random.RandomState(1).normal(
        1, 0.005, 52
    )
    assert judge_series(list(x)).start == 12


def test_outliers_a_burst_and_a_late_change_drop_nothing() -> None:
    x = np.random.RandomState(2).normal(100, 0.5, 60)
    spike, burst, late = x.copy(), x.copy(), x.copy()
    spike[40] = 900
    burst[20:25] *= 2
    late[45:] *= 1.2
    assert [judge_series(list(s)).start for s in (spike, burst, late)] == [0, 0, 0]


def test_a_level_within_one_percent_is_kept() -> None:
    x = np.repeat([100.5, 100.0], [10, 40]) + np.random.RandomState(2).normal(0, 0.02, 50)
    assert judge_series(list(x)).start == 0


def test_a_long_series_is_looked_at_in_means_of_neighbours() -> None:
    x = np.random.RandomState(5).normal(100, 1, 5_000)
    x[:260] *= 1.5
    assert judge_series(list(x)).start == 260


# MSER-5


def test_mser_cuts_what_is_not_steady_and_at_most_half() -> None:
    x = np.random.RandomState(6).normal(100, 1, 100)
    x[:20] *= 1.4
    assert steady_state.compute_mser5_start(list(x)) >= 20
    assert steady_state.compute_mser5_start([float(v) for v in range(100)]) <= 50
    assert steady_state.compute_mser5_start([]) == steady_state.compute_mser5_start([1.0] * 4) == 0


# The trend


@pytest.mark.parametrize("seed", range(8))
def test_the_trend_equals_scipy(seed: int) -> None:
    random = np.random.RandomState(seed)
    x = np.round(random.normal(50, 3, 12 + 20 * seed), 1 if seed % 2 else 9)
    x += 0.02 * seed * np.arange(x.size)
    steps = np.arange(x.size)
    trend = estimate_trend([float(v) for v in x])
    assert x.size <= MAX_POINTS and trend is not None
    assert trend.p == pytest.approx(scipy.stats.kendalltau(steps, x, method="asymptotic").pvalue)
    assert trend.slope == pytest.approx(scipy.stats.theilslopes(x, steps).slope)
    assert trend.across == pytest.approx(trend.slope * (x.size - 1) / np.median(x))


def test_a_trend_of_a_long_series_is_that_of_its_means() -> None:
    x = 100 + 0.01 * np.arange(2_000) + np.random.RandomState(1).normal(0, 1, 2_000)
    trend = estimate_trend(list(x))
    assert trend is not None and trend.slope == pytest.approx(0.01, rel=0.05) and trend.p < 1e-9


def test_a_drift_is_no_steady_state_and_a_small_one_is() -> None:
    noise = np.random.RandomState(7).normal(1, 0.001, 40)
    assert judge_series(list(np.linspace(100, 103, 40) * noise)).steady is False
    assert judge_series(list(np.linspace(100, 100.5, 40) * noise)).steady is True
    assert (
        "speed drifted; no interval" in judge_series(list(np.linspace(100, 103, 40) * noise)).notes
    )


def test_a_drift_is_given_as_a_change_of_the_speed() -> None:
    slower = [1 / speed for speed in np.linspace(1.25, 0.75, 41)]
    assert judge_series(slower, 0).drift == pytest.approx(-0.5)
    assert judge_series(slower[::-1], 0).drift == pytest.approx(0.5)
    assert judge_series([1.0, 1.001] * 20).drift is None


# Edges


@pytest.mark.fault(38)
@given(durations)
def test_any_durations_have_a_verdict_and_keep_three(values: list[float]) -> None:
    verdict = judge_series(values)
    kept = len(values) - verdict.start
    assert kept >= min(3, len(values)) and 2 * verdict.start <= len(values)
    assert (verdict.steady is None) == (kept < 10)


@pytest.mark.fault(38)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10, 500])
def test_equal_durations_are_steady_and_divide_nothing(n: int) -> None:
    verdict = judge_series([7.0] * n)
    assert (verdict.start, verdict.steady) == (0, True if n >= 10 else None)
    assert estimate_trend([0.0] * n) is None or estimate_trend([0.0] * n) == estimate_trend(
        [0.0] * 3
    )


@pytest.mark.fault(38)
@given(st.lists(st.integers(1, 3), min_size=3, max_size=40))
def test_ties_give_a_probability(values: list[int]) -> None:
    trend = estimate_trend(values)
    assert trend is not None and 0 <= trend.p <= 1 and math.isfinite(trend.across)
