"""Spearman's correlation against scipy, and the interval of a difference of two."""

from __future__ import annotations

import numpy as np
import pytest

from txtop.stats.rank_correlation import compare_correlations, compute_rank_correlation


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


def test_the_interval_of_equal_scores_is_a_point_and_a_worse_one_is_seen() -> None:
    random = np.random.default_rng(2)
    targets = random.normal(size=200)
    good = targets + random.normal(size=200) * 0.3
    (one, same), interval = compare_correlations(list(targets), list(good), list(good))
    assert one == same and interval == (0.0, 0.0)
    bad = good + random.normal(size=200) * 2
    (_, worse), interval = compare_correlations(list(targets), list(good), list(bad))
    assert interval is not None and interval[0] < worse - one < interval[1] < 0
    assert compare_correlations([1, 2], [1, 2], [1, 2])[1] is None
