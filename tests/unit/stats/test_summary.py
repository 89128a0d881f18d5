"""The live statistics against scipy, and in edge cases."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from txtop.stats import intervals, student_t
from txtop.stats.summary import (
    PERCENTILE_FLOORS,
    compute_percentile,
    compute_percentile_floor,
    count_outliers,
    summarise,
)

finite = st.floats(1e-6, 1e6, allow_nan=False)


@pytest.mark.parametrize("df", [1, 2, 3, 5, 9, 29, 100, 5000])
@pytest.mark.parametrize("p", [0.5, 0.8, 0.975, 0.995])
def test_t_quantile_equals_scipy(p: float, df: int) -> None:
    assert student_t.compute_quantile(p, df) == pytest.approx(
        scipy.stats.t.ppf(p, df), rel=1e-9, abs=1e-9
    )


def test_t_interval_equals_scipy() -> None:
    x = np.random.default_rng(1).normal(10, 1, 17)
    expected = scipy.stats.t.interval(0.95, 16, x.mean(), scipy.stats.sem(x))
    assert intervals.compute_student_t_interval(list(x)) == pytest.approx(expected)


def test_bca_agrees_with_scipy_and_repeats() -> None:
    x = np.random.default_rng(2).lognormal(0, 0.5, 60)
    low, high = intervals.compute_bca_interval(list(x), seed=3) or (0, 0)
    oracle = scipy.stats.bootstrap((x,), np.mean, n_resamples=20_000, rng=5).confidence_interval
    width = oracle.high - oracle.low
    assert abs(low - oracle.low) < 0.05 * width
    assert abs(high - oracle.high) < 0.05 * width
    assert intervals.compute_bca_interval(list(x), seed=3) == (low, high)


def test_the_reported_interval_changes_at_thirty() -> None:
    x = list(np.random.default_rng(4).lognormal(0, 1, 30))
    assert intervals.compute_mean_interval(x[:29]) == intervals.compute_student_t_interval(x[:29])
    assert intervals.compute_mean_interval(x) == intervals.compute_bca_interval(x)


def test_anytime_interval_holds_at_every_look() -> None:
    """Crossings between looks 10 and 200 stay near the nominal 5 %; those of a t interval not."""
    random = np.random.RandomState(0)
    sessions, looks = 400, np.arange(10, 201)
    x = random.normal(0, 1, (sessions, 200))
    mean = np.cumsum(x, 1)[:, 9:] / looks
    sd = np.sqrt((np.cumsum(x**2, 1)[:, 9:] - looks * mean**2) / (looks - 1))
    unit = np.array([intervals.compute_anytime_half_width(int(n), 1.0) for n in looks])
    crossed = (np.abs(mean) > unit * sd).any(1).mean()
    naive = (np.abs(mean) > scipy.stats.t.ppf(0.975, looks - 1) * sd / np.sqrt(looks)).any(1).mean()
    assert crossed < 0.08
    assert naive > 0.2


@given(st.lists(finite, min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_equals_numpy(values: list[float], p: float) -> None:
    assert compute_percentile(sorted(values), p) == pytest.approx(
        np.percentile(values, p), rel=1e-9
    )


@pytest.mark.fault(38)
@given(st.lists(finite, min_size=1, max_size=40))
def test_a_summary_never_fails_and_keeps_its_order(values: list[float]) -> None:
    s = summarise(values, "ms")
    assert s.n == len(values)
    assert s.min is not None and s.max is not None and s.mean is not None and s.median is not None
    assert s.min <= s.median <= s.max
    assert s.min * (1 - 1e-9) <= s.mean <= s.max * (1 + 1e-9)
    assert (s.ci95 is None) == (len(values) < 2)


@pytest.mark.fault(38)
@pytest.mark.parametrize("n", [2, 29, 30, 200])
def test_equal_values_have_an_interval_of_no_width(n: int) -> None:
    s = summarise([4.0] * n, "ms")
    assert s.ci95 == (4.0, 4.0) and s.stdev == 0.0 and s.mad == 0.0


@pytest.mark.fault(38)
def test_no_sample_is_said_and_divides_nothing() -> None:
    s = summarise([], "ms")
    assert s.n == 0 and s.mean is None and s.notes == ["no sample"]


@pytest.mark.parametrize(("p", "floor"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_a_percentile_is_stated_from_its_floor_on(p: int, floor: int) -> None:
    values = [float(i) for i in range(1, floor + 1)]
    assert getattr(summarise(values, "ms"), f"p{p}") is not None
    below = summarise(values[:-1], "ms")
    assert getattr(below, f"p{p}") is None
    assert f"p{p} after {floor} ({floor - 1} so far)" in below.notes


@pytest.mark.parametrize(("p", "floor"), list(PERCENTILE_FLOORS.items()))
def test_floors_are_the_smallest_n_with_two_samples_beyond(p: int, floor: int) -> None:
    def confidence(n: int) -> float:
        return float(scipy.stats.binom.sf(1, n, 1 - p / 100))

    assert confidence(floor) >= 0.99 > confidence(floor - 1)


def test_gaps_count_as_iterations() -> None:
    gaps = [10.0] * 31 + [20.0] * 31
    s = summarise(gaps, "ms", per_iteration=[10.0, 20.0])
    assert s.n == 2 and s.mean == 15.0 and s.p50 is None
    assert s.ci95 == intervals.compute_student_t_interval([10.0, 20.0])


def test_outliers_are_counted_and_kept() -> None:
    values = [10.0, 10.1, 9.9, 10.2, 9.8, 10.0, 99.0]
    assert count_outliers(values) == 1
    s = summarise(values, "ms")
    assert s.max == 99.0 and "1 outlier kept" in s.notes and not math.isnan(s.mean or 0)


def test_the_mean_of_a_rate_is_all_work_over_all_time() -> None:
    times = [1.0, 1.0, 4.0] * 4
    summary = summarise([10 / t for t in times], "tok/s", rate=True)
    assert summary.mean == pytest.approx(10 / 2.0)
    low, high = scipy.stats.t.interval(0.95, 11, 2.0, scipy.stats.sem(times))
    assert summary.ci95 == pytest.approx((10 / high, 10 / low))


def test_a_rate_whose_time_may_be_nothing_has_no_interval() -> None:
    summary = summarise([10.0, 1.0], "tok/s", rate=True)
    assert summary.ci95 is None
    assert "no interval: too few for how they vary" in summary.notes


def test_the_floor_of_any_percentile_is_that_of_the_table() -> None:
    assert {p: compute_percentile_floor(p / 100) for p in PERCENTILE_FLOORS} == PERCENTILE_FLOORS
