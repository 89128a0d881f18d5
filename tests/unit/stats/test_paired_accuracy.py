"""The difference of two accuracies: how often its interval is wrong, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from txtop.stats import paired_accuracy
from txtop.stats.paired_accuracy import (
    bound_unchanged,
    compute_difference_interval,
    compute_log_evidence,
    count_deciding_items,
    count_unchanged_items,
    excludes_zero,
)

SESSIONS = 1_000


def counts(gained: float, lost: float, equal: float) -> dict[float, float]:
    return {1.0: gained, -1.0: lost, 0.0: equal}


def evidence_over_time(better: np.ndarray, worse: np.ndarray) -> np.ndarray:
    """Return the evidence against equality after each item, of shape (sessions, items)."""
    bets = np.array(paired_accuracy._BETS)
    gained, lost = np.cumsum(better, 1), np.cumsum(worse, 1)
    total = np.zeros(gained.shape)
    for bet in bets:
        up, down = np.log1p(bet), np.log1p(-bet)
        total += np.exp(gained * up + lost * down) + np.exp(gained * down + lost * up)
    return total / (2 * len(bets))


def draw(discordant: float, loss: float, items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    u = np.random.default_rng(seed).random((SESSIONS, items))
    worse = u < (discordant + loss) / 2
    return (u < discordant) & ~worse, worse


def test_the_simulation_computes_the_evidence_of_the_module() -> None:
    better, worse = np.array([[1, 0, 0, 1, 0]]), np.array([[0, 1, 0, 0, 0]])
    simulated = float(np.log(evidence_over_time(better, worse)[0, -1]))
    assert compute_log_evidence(counts(2, 1, 2), 0.0) == pytest.approx(simulated)


@pytest.mark.parametrize("discordant", [0.04, 0.2])
def test_equal_models_are_told_apart_in_at_most_5_percent_of_sessions(discordant: float) -> None:
    """Watched after every one of 2,000 items; a test of fixed size would err in a third."""
    evidence = evidence_over_time(*draw(discordant, 0.0, 2_000, seed=3))
    assert (evidence >= 1 / paired_accuracy.ALPHA).any(1).mean() <= 0.05


@pytest.mark.parametrize("discordant", [0.05, 0.10, 0.20])
def test_a_loss_of_3_points_is_found_with_the_items_that_are_named(discordant: float) -> None:
    items = count_deciding_items(discordant, 0.03)
    assert items is not None
    evidence = evidence_over_time(*draw(discordant, 0.03, items, seed=5))
    share = (evidence >= 1 / paired_accuracy.ALPHA).any(1).mean()
    assert share >= 0.95
    # And not by naming far too many: a third of them would not do.
    fewer = (evidence[:, : items // 3] >= 1 / paired_accuracy.ALPHA).any(1).mean()
    assert fewer < 0.80


def test_the_interval_holds_the_true_loss_at_every_look() -> None:
    better, worse = draw(0.15, 0.05, 600, seed=7)
    wrong = 0
    for gained, lost in zip(better[:300], worse[:300], strict=True):
        looks = (
            (int(gained[:n].sum()), int(lost[:n].sum()), n) for n in (20, 60, 120, 250, 400, 600)
        )
        wrong += any(
            compute_log_evidence(counts(up, down, n - up - down), -0.05) >= np.log(20)
            for up, down, n in looks
        )
    assert wrong / 300 <= 0.05


def test_the_interval_is_where_the_evidence_is_below_20() -> None:
    for given in (counts(3, 12, 285), counts(0, 0, 50), counts(0, 9, 0), counts(1, 0, 0)):
        interval = compute_difference_interval(given)
        assert interval is not None
        low, high = interval
        n = sum(given.values())
        assert low <= sum(d * c for d, c in given.items()) / n <= high
        for end, beyond in ((low, -1e-6), (high, 1e-6)):
            if abs(end) < 1:
                assert compute_log_evidence(given, end + beyond) >= np.log(20) - 1e-3
        assert excludes_zero(given) == (low > 0 or high < 0)


def test_scores_between_right_and_wrong_have_an_interval_too() -> None:
    interval = compute_difference_interval({0.5: 4, 0.0: 90, -0.5: 30, -1.0: 4})
    assert interval is not None
    assert interval[1] < 0


def test_nothing_was_answered() -> None:
    assert compute_difference_interval({}) is None
    assert not excludes_zero({})


def test_more_discordant_items_take_more_items() -> None:
    needed = [count_deciding_items(share, 0.01) for share in (0.02, 0.05, 0.1)]
    assert all(needed)
    assert needed == sorted(needed, key=lambda n: n or 0)
    assert count_deciding_items(0.5, 0.0001) is None
    assert count_deciding_items(0.1, 0.0) is None


def test_no_change_in_n_items_bounds_what_can_change() -> None:
    for n in (1, 10, 300):
        assert (1 - bound_unchanged(n)) ** n == pytest.approx(0.05)
    for loss, n in ((0.01, 299), (0.05, 59), (0.5, 5)):
        assert count_unchanged_items(loss) == n
        assert bound_unchanged(n) <= loss < bound_unchanged(n - 1)
    assert count_unchanged_items(0.0) is count_unchanged_items(1e-9) is None
