"""The paired ratio against scipy and numpy, and the coverage of its interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as oracle

from txtop.stats.paired import compute_paired_ratio


def _pairs(n: int, ratio: float, noise: float, seed: int) -> tuple[list[float], list[float]]:
    """Return `n` pairs that share a slow drift of 30 % and differ by `ratio`, each with `noise`."""
    random = np.random.default_rng(seed)
    shared = 3.0 * np.exp(np.cumsum(random.normal(0, 0.3 / math.sqrt(n), n)))
    under = shared * np.exp(random.normal(0, noise / math.sqrt(2), n))
    over = ratio * shared * np.exp(random.normal(0, noise / math.sqrt(2), n))
    return list(over), list(under)


def test_below_30_pairs_it_is_the_t_interval_of_the_mean_log_ratio() -> None:
    over, under = _pairs(12, 1.01, 0.03, seed=1)
    d = np.log(np.array(over) / np.array(under))
    low, high = oracle.t.interval(0.95, len(d) - 1, loc=d.mean(), scale=oracle.sem(d))
    result = compute_paired_ratio(over, under)
    assert result is not None
    assert result.ratio == pytest.approx(math.exp(d.mean()), rel=1e-12)
    assert result.ci95 == pytest.approx((math.exp(low), math.exp(high)), rel=1e-9)
    assert result.half_width == pytest.approx(
        (math.exp(high) - math.exp(low)) / 2 / math.exp(d.mean()), rel=1e-9
    )


def test_from_30_pairs_it_is_the_bca_interval() -> None:
    over, under = _pairs(40, 0.99, 0.05, seed=2)
    d = np.log(np.array(over) / np.array(under))
    expected = oracle.bootstrap(
        (d,), np.mean, n_resamples=20_000, method="BCa", random_state=3
    ).confidence_interval
    result = compute_paired_ratio(over, under)
    assert result is not None
    assert result.ci95 == pytest.approx((math.exp(expected.low), math.exp(expected.high)), rel=2e-3)


def test_swapping_the_arms_inverts_ratio_and_interval() -> None:
    over, under = _pairs(15, 1.3, 0.04, seed=4)
    one, other = compute_paired_ratio(over, under), compute_paired_ratio(under, over)
    assert one is not None and other is not None
    assert other.ratio == pytest.approx(1 / one.ratio)
    assert other.ci95 == pytest.approx((1 / one.ci95[1], 1 / one.ci95[0]))


def test_the_interval_holds_the_true_ratio_in_19_of_20_sessions() -> None:
    held = 0
    for seed in range(400):
        result = compute_paired_ratio(*_pairs(10, 1.02, 0.05, seed=seed))
        assert result is not None
        held += result.ci95[0] <= 1.02 <= result.ci95[1]
    assert 0.92 <= held / 400 <= 0.98


def test_one_pair_has_no_interval_and_unequal_lengths_are_refused() -> None:
    assert compute_paired_ratio([1.0], [1.0]) is None
    with pytest.raises(ValueError, match="shorter"):
        compute_paired_ratio([1.0, 2.0], [1.0])
