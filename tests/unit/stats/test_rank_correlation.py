"""Spearman's correlation against scipy, and the interval of a difference of two."""

from __future__ import annotations

import numpy as np
import pytest

from txtop.stats.rank_correlation import (
    compare_correlations,
    compute_rank_correlation,
    find_ends,
)

pytestmark = pytest.mark.filterwarnings("error")


def test_it_is_scipys_with_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(1)
    for _ in range(20):
        x, y = random.integers(0, 6, 40).astype(float), random.normal(size=40)
        own = compute_rank_correlation(list(x), list(y))
        assert own == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_it_knows_order_alone() -> None:
    assert compute_rank_correlation([1, 2, 3, 4], [1, 8, 27, 64]) == pytest.approx(1)
    assert compute_rank_correlation([1, 2, 2, 3], [9, 5, 5, 1]) == pytest.approx(-1)
    assert compute_rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_a_worse_one_is_seen() -> None:
    random = np.random.default_rng(2)
    targets = random.normal(size=200)
    good = targets + random.normal(size=200) * 0.3
    bad = good + random.normal(size=200) * 2
    one, worse, interval, reason, unchanged = compare_correlations(
        list(targets), list(good), list(bad)
    )
    assert not unchanged and one is not None and worse is not None and not reason
    assert interval is not None and interval[0] < worse - one < interval[1] < 0


@pytest.mark.parametrize("swapped", [0, 1])
@pytest.mark.parametrize("n", [20, 300])
def test_ranks_that_are_as_good_as_equal_have_no_interval(n: int, swapped: int) -> None:
    targets = [float(place) for place in range(n)]
    own = [2 * target for target in targets]
    own[:2] = own[:2][:: -1 if swapped else 1]
    contrast = compare_correlations(targets, targets, own)
    assert contrast.base == pytest.approx(1) and contrast.own == pytest.approx(1, abs=0.01)
    assert (contrast.interval, contrast.reason) == (None, "too few ranks differ for an interval")
    assert contrast.is_unchanged == (not swapped)


RANKS = [float(place) for place in range(12)]


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        (([1.0] * 12, RANKS, RANKS), "no correlation: all scores are equal"),
        ((RANKS, RANKS, [0.5] * 12), "no correlation: all similarities are equal"),
        (
            (RANKS, [0.5] * 12, RANKS),
            "no correlation: all similarities of the reference are equal",
        ),
        (([1.0], [0.5], [0.25]), "no correlation: all scores are equal"),
        (([1.0, 2.0], [1.0, 2.0], [2.0, 1.0]), "fewer than 10 pairs"),
        # A third of the resamples lacks the one score that differs.
        (([0.0] * 19 + [1.0], RANKS + RANKS[:8], RANKS[::-1] + RANKS[:8]), "too few values differ"),
    ],
)
def test_what_is_not_defined_is_none_and_says_why(
    sides: tuple[list[float], list[float], list[float]], reason: str
) -> None:
    targets, base, own = sides
    contrast = compare_correlations(targets, base, own)
    assert contrast.base == compute_rank_correlation(targets, base)
    assert contrast.own == compute_rank_correlation(targets, own)
    assert contrast.interval is None and contrast.reason.startswith(reason)
    assert ("no correlation" in reason) == (None in (contrast.base, contrast.own))


def test_resamples_without_a_correlation_are_the_worst_at_either_end() -> None:
    drawn = np.linspace(-0.5, 0.5, 1000)
    whole, _ = find_ends(drawn)
    assert whole == pytest.approx((-0.475, 0.475))
    drawn[490:510] = np.nan
    wider, _ = find_ends(drawn)
    assert wider == pytest.approx((-0.495, 0.495), abs=1e-3)
    drawn[480:510] = np.nan
    assert find_ends(drawn) == (None, "too few values differ for an interval")
