"""The rule that ends a cell."""

from __future__ import annotations

import math

import pytest

from txtop.stats.stopping import decide_stop


@pytest.mark.parametrize(
    ("n", "measured_s", "spent_s", "widths", "iterations", "expected"),
    [
        (4, 100, 100, [], 5, None),
        (5, 0.1, 0.1, [(math.inf, 0.01)], 5, "iterations"),
        (9, 100, 20, [], None, None),
        (10, 2.9, 3, [(0.001, 0.01)], None, None),
        (10, 3.0, 3, [(0.001, 0.01)], None, "converged"),
        (10, 3.0, 3, [(0.001, 0.01), (0.04, 0.03)], None, None),
        (2, 40, 50, [], None, None),
        (3, 40, 50, [(math.inf, 0.01)], None, "budget"),
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
