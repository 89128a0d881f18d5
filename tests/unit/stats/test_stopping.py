"""The rule that ends a cell."""

from __future__ import annotations

import math

import pytest

from txtop.stats.stopping import count_affordable, decide_stop, is_warmup_affordable
from txtop.stats.warmup import fit_count


@pytest.mark.parametrize(
    ("n", "measured_s", "spent_s", "widths", "iterations", "expected"),
    [
        (4, 100, 100, [], 5, None),
        (5, 0.1, 0.1, [(math.inf, 0.01)], 5, "iterations"),
        (9, 100, 20, [], None, None),
        (10, 2.9, 3, [(0.001, 0.01)], None, None),
        (10, 3.0, 3, [(0.001, 0.01)], None, "converged"),
        (10, 3.0, 3, [(0.001, 0.01), (0.04, 0.03)], None, None),
        (3, 40, 50, [(math.inf, 0.01)], None, "budget"),
        (3, 29, 29, [(math.inf, 0.01)], None, None),
        (2, 40, 44.9, [], None, None),
        (2, 40, 45, [], None, "budget"),
        (1, 50, 50, [], None, "budget"),
        (0, 50, 50, [], None, None),
    ],
)
def test_when_a_cell_is_done(
    n: int,
    measured_s: float,
    spent_s: float,
    widths: list[tuple[float, float]],
    iterations: int | None,
    expected: str | None,
) -> None:
    reason = decide_stop(
        n=n,
        measured_s=measured_s,
        spent_s=spent_s,
        budget_s=30,
        iterations=iterations,
        half_widths=widths,
    )
    assert reason == expected


@pytest.mark.parametrize(
    ("n", "spent_s", "expected"),
    [
        (4, 29, None),
        (5, 29, "iterations"),
        (5, 99, "iterations"),
        (4, 30, "budget"),
        (2, 30, None),
        (2, 45, "budget"),
    ],
)
def test_fitted_iterations_end_with_their_number_or_their_time(
    n: int, spent_s: float, expected: str | None
) -> None:
    reason = decide_stop(
        n=n,
        measured_s=spent_s,
        spent_s=spent_s,
        budget_s=30,
        iterations=5,
        fitted=True,
        half_widths=[(0.001, 0.01)],
    )
    assert reason == expected


@pytest.mark.parametrize(
    ("left", "done", "spent_s", "cost_s", "expected"),
    [
        (3, 0, 0, 2.0, 3),  # all 13 take 26 s
        (3, 0, 0, 2.4, 3),  # 13 would take 31 s: a quarter of the budget holds three
        (3, 0, 0, 5.0, 1),
        (2, 1, 5, 5.0, 0),
        (3, 0, 0, 11.0, 1),  # more than a quarter, but three more begin within 45 s
        (3, 0, 0, 14.5, 0),
        (2, 1, 14.5, 14.5, 0),
        (0, 3, 6, 2.0, 0),
        (100, 0, 0, 0.001, 100),
    ],
)
def test_warm_up_leaves_time_for_measuring(
    left: int, done: int, spent_s: float, cost_s: float, expected: int
) -> None:
    count = fit_count(left, done=done, spent_s=spent_s, cost_s=cost_s, budget_s=30, measured=10)
    assert count == expected


@pytest.mark.parametrize(
    ("cost_s", "count", "warms"),
    [
        (1, 30, True),
        (9, 4, True),
        (11.25, 4, True),
        (12, 3, False),
        (20, 3, False),
        (23, 2, False),
        (46, 1, False),
    ],
)
def test_a_budget_pays_for_three_iterations_as_far_as_half_as_much_again_allows(
    cost_s: float, count: int, warms: bool
) -> None:
    assert count_affordable(cost_s, 30) == count
    assert is_warmup_affordable(cost_s, 30) == warms
