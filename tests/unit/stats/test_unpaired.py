"""Two sets of times compared: verdict, interval and test, with scipy as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as oracle

from txtop.stats.unpaired import compare_unpaired


def lot(mean: float, n: int = 30, seed: int = 1, cv: float = 0.01) -> list[float]:
    return list(np.random.RandomState(seed).normal(mean, mean * cv, n))


@pytest.mark.parametrize(
    ("new", "verdict"),
    [(115.0, "slower"), (85.0, "faster"), (100.0, "equivalent"), (103.0, "inconclusive")],
)
def test_the_verdict_is_where_the_interval_lies(new: float, verdict: str) -> None:
    result = compare_unpaired([lot(100)], [lot(new, seed=2)], margin=0.03)
    assert result.verdict == verdict
    assert result.ratio == pytest.approx(100 / new, rel=0.02)
    assert result.ci95 is not None and result.ci95[0] <= result.ratio <= result.ci95[1]


def test_nine_iterations_a_side_are_needed() -> None:
    assert compare_unpaired([lot(100, 9)], [lot(150, 8)], 0.03).verdict == "insufficient"
    assert compare_unpaired([lot(100, 9)], [lot(150, 9)], 0.03).verdict == "slower"
    assert compare_unpaired([], [lot(1)], 0.03).verdict == "insufficient"
    assert compare_unpaired([lot(100, 5), lot(100, 4)], [lot(100, 9)], 0.03).n_base == 9


@pytest.mark.parametrize("seed", range(5))
def test_mann_whitney_agrees_with_scipy_ties_and_all(seed: int) -> None:
    random = np.random.RandomState(seed)
    a, b = random.randint(10, 20, 15).tolist(), random.randint(11, 22, 12).tolist()
    expected = oracle.mannwhitneyu(a, b, method="asymptotic", use_continuity=True).pvalue
    assert compare_unpaired([a], [b], 0.03).p == pytest.approx(expected, rel=1e-9)


def test_of_several_sessions_the_medians_are_ranked() -> None:
    base = [lot(100 + i, seed=i) for i in range(5)]
    new = [lot(102 + i, seed=9 + i) for i in range(5)]
    medians = [[float(np.median(s)) for s in side] for side in (base, new)]
    expected = oracle.mannwhitneyu(*medians, method="asymptotic").pvalue
    assert compare_unpaired(base, new, 0.03).p == pytest.approx(expected, rel=1e-9)


def test_nothing_is_divided_by_zero() -> None:
    same = compare_unpaired([[5.0] * 10], [[5.0] * 10], 0.03)
    assert (same.ratio, same.ci95, same.p, same.verdict) == (1.0, (1.0, 1.0), 1.0, "equivalent")
    for base, new in (([0.0] * 10, [1.0] * 10), ([1.0] * 10, [0.0] * 10), ([0.0] * 9, [0.0] * 9)):
        result = compare_unpaired([base], [new], 0.03)
        assert (result.ratio, result.ci95, result.verdict) == (None, None, "inconclusive")
    some = compare_unpaired([[1.0] * 9], [[0.0] * 4 + [1.0] * 5], 0.03)
    assert (some.ci95, some.verdict) == (None, "inconclusive")


def test_the_same_seed_gives_the_same_interval() -> None:
    sides = ([lot(100), lot(101, seed=3)], [lot(100, seed=4), lot(99, seed=5)])
    assert compare_unpaired(*sides, 0.03, seed=7) == compare_unpaired(*sides, 0.03, seed=7)
    assert (
        compare_unpaired(*sides, 0.03, seed=7).ci95 != compare_unpaired(*sides, 0.03, seed=8).ci95
    )


@pytest.mark.parametrize(("sessions", "n", "between"), [(1, 30, 0.0), (11, 10, 0.03)])
def test_the_interval_covers_the_truth(
    sessions: int, n: int, between: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txtop.stats.unpaired.RESAMPLES", 600)
    random = np.random.RandomState(11)
    trials = 300

    def side(mean: float) -> list[list[float]]:
        levels = mean * (1 + between * random.standard_normal(sessions))
        return [list(level * (1 + 0.02 * random.standard_normal(n))) for level in levels]

    hits = 0
    for _ in range(trials):
        ci95 = compare_unpaired(side(100), side(110), 0.03).ci95
        assert ci95 is not None
        hits += ci95[0] <= 100 / 110 <= ci95[1]
    assert 0.92 <= hits / trials <= 0.995
