"""The search of the edge between what runs and what does not, on edges that are made up."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from txtop.stats.edge_search import (
    MAX_PROBES,
    Bracket,
    Outcome,
    choose_probe,
    complete_forecast,
    correct_forecast,
    find_bracket,
)

MIB = 1 << 20


def search(
    edge: int,
    most: int,
    forecast: Callable[[int], float | None],
    limit: float | None,
    measure: Callable[[int], float | None] = lambda _: None,
) -> tuple[dict[int, Outcome], Bracket]:
    """Search an edge whose probes run up to `edge` steps."""
    outcomes: dict[int, Outcome] = {}
    while (
        steps := choose_probe(outcomes, most, complete_forecast(outcomes, forecast), limit)
    ) is not None:
        assert 1 <= steps <= most and steps not in outcomes
        ran = steps <= edge
        outcomes[steps] = Outcome(ran, measure(steps) if ran else None)
    return outcomes, find_bracket(outcomes)


@pytest.mark.parametrize("seed", range(300))
def test_both_sides_of_an_edge_are_found_in_eight_probes(seed: int) -> None:
    """The forecast is off by up to a tenth, as it may be, and peaks are noisy."""
    draw = random.Random(seed)
    fixed, growth = draw.uniform(300, 900) * MIB, draw.uniform(0.5, 30) * MIB
    limit = fixed + growth * draw.randint(1, 400) + draw.random() * growth
    off, wrong = draw.uniform(0.9, 1.1), draw.uniform(0.9, 1.1)
    edge = int((limit - fixed) / growth)

    outcomes, bracket = search(
        edge,
        100_000,
        lambda n: off * fixed + wrong * growth * n,
        limit,
        lambda n: fixed + growth * n - draw.random() * 0.01 * limit,
    )
    assert bracket == Bracket(edge, edge + 1)
    assert len(outcomes) <= MAX_PROBES


@pytest.mark.parametrize("edge", range(10, 40))
def test_a_bracket_is_closed_whatever_peaks_say(edge: int) -> None:
    """Peaks of equal probes differ: here each is just below the limit, as if it were the edge."""
    limit = 640.0 * MIB
    outcomes = {10: Outcome(True, limit - MIB), 40: Outcome(False)}
    while (
        steps := choose_probe(outcomes, 511, lambda n: (400.0 + 4 * n) * MIB, limit)
    ) is not None:
        assert steps not in outcomes
        outcomes[steps] = Outcome(steps <= edge, limit - MIB if steps <= edge else None)
    assert find_bracket(outcomes) == Bracket(edge, edge + 1)
    assert len(outcomes) <= MAX_PROBES


def test_a_true_forecast_takes_two_probes() -> None:
    outcomes, bracket = search(71, 1000, lambda n: 400.0 + 10 * n, 1115.0, lambda n: 400.0 + 10 * n)
    assert bracket == Bracket(71, 72) and set(outcomes) == {71, 72}


def test_nothing_runs() -> None:
    outcomes, bracket = search(0, 100, lambda n: 400.0 + 10 * n, 300.0)
    assert bracket == Bracket(0, 1) and set(outcomes) == {1}
    _, bracket = search(0, 100, lambda n: 10.0 * n, 300.0)
    assert bracket == Bracket(0, 1)


def test_what_runs_up_to_the_most_has_no_other_side() -> None:
    outcomes, bracket = search(10_000, 8, lambda n: 10.0 * n, 300.0)
    assert bracket == Bracket(8, None) and set(outcomes) == {8}


def test_an_edge_is_found_without_a_forecast() -> None:
    _, bracket = search(11, 1000, lambda _: None, 300.0)
    assert bracket == Bracket(11, 12)
    _, bracket = search(11, 1000, lambda n: 10.0 * n, None)
    assert bracket == Bracket(11, 12)


def test_what_cannot_be_closed_in_time_is_said() -> None:
    outcomes, bracket = search(5000, 100_000, lambda _: None, None)
    assert len(outcomes) == MAX_PROBES
    assert bracket.ran <= 5000 and not bracket.is_closed


def search_unknown(
    edge: int, noise: float, grow: Callable[[float, int], float]
) -> tuple[dict[int, Outcome], Bracket]:
    """Search an edge of a model that has no forecast, by the peaks of its probes."""
    draw = random.Random(edge)
    fixed, growth = draw.uniform(300, 900) * MIB, draw.uniform(0.5, 30) * MIB
    at_edge, beyond = grow(growth, edge), grow(growth, edge + 1)
    limit = fixed + at_edge + draw.random() * (beyond - at_edge)

    def measure(steps: int) -> float:
        return (fixed + grow(growth, steps)) * (1 + draw.uniform(-noise, noise))

    return search(edge, 65_536, lambda _: None, limit, measure)


def test_the_peaks_replace_a_forecast_that_is_not_known() -> None:
    """Memory grows with the batch; up to its square with a prompt."""
    edges = range(1, 501)
    linear = [search_unknown(edge, 0.0, lambda growth, n: growth * n) for edge in edges]
    assert all(bracket.is_closed for _, bracket in linear)
    assert sum(len(outcomes) for outcomes, _ in linear) < 6.5 * len(linear)
    square = [search_unknown(edge, 0.0, lambda growth, n: growth * n * n / 100) for edge in edges]
    assert sum(bracket.is_closed for _, bracket in square) > 0.8 * len(square)


def test_peaks_that_differ_leave_a_bracket_around_the_edge() -> None:
    """Equal probes differ by up to 5 %: an edge of hundreds is not closed by eight of them."""
    gaps = []
    for edge in range(1, 501):
        outcomes, bracket = search_unknown(edge, 0.05, lambda growth, n: growth * n)
        assert len(outcomes) <= MAX_PROBES and bracket.ran <= edge
        if bracket.failed is not None:
            gaps.append((bracket.failed - bracket.ran - 1) / edge)
    assert len(gaps) >= 498
    assert sum(gap == 0 for gap in gaps) > 200 and sum(gap < 0.05 for gap in gaps) > 400


def test_a_curve_bends_upwards_alone() -> None:
    def unknown(steps: int) -> float | None:
        return None

    assert complete_forecast({4: Outcome(True, 50.0)}, unknown) is unknown
    shrinking = {4: Outcome(True, 50.0), 8: Outcome(True, 40.0)}
    assert complete_forecast(shrinking, unknown) is unknown
    square = {n: Outcome(True, 100.0 + n * n) for n in (1, 16, 40)}
    assert complete_forecast(square, unknown)(100) == pytest.approx(10_100.0)
    root = {1: Outcome(True, 100.0), 5: Outcome(True, 400.0), 9: Outcome(True, 500.0)}
    assert complete_forecast(root, unknown)(11) == pytest.approx(600.0)
    assert complete_forecast(root, lambda n: 7.0)(11) == 7.0


def test_what_ran_above_a_failure_is_no_edge() -> None:
    outcomes = {4: Outcome(True), 8: Outcome(False), 9: Outcome(True)}
    assert find_bracket(outcomes) == Bracket(4, 8)


def test_a_forecast_is_corrected_by_what_was_measured() -> None:
    def forecast(n: int) -> float:
        return 100.0 + 10 * n

    assert correct_forecast({}, 7, forecast) == 170.0
    assert correct_forecast({10: Outcome(True, 250.0)}, 12, forecast) == 270.0
    two = {10: Outcome(True, 250.0), 20: Outcome(True, 450.0)}
    assert correct_forecast(two, 21, forecast) == 450.0 + 2 * 10.0
    assert correct_forecast({10: Outcome(False)}, 7, forecast) == 170.0


def test_a_peak_without_a_forecast_corrects_none() -> None:
    """As of a model that came here with the first probe: its whole peak would be added."""
    outcomes = {16: Outcome(True, 900.0)}

    def forecast(steps: int) -> float | None:
        return None if steps == 16 else 400.0 + 10 * steps

    assert correct_forecast(outcomes, 32, forecast) is None
    assert choose_probe(outcomes, 1000, forecast, 2000.0) == 256, "it grows, as without a forecast"
