"""The judgement on neighbours: a planted hog is named, equal neighbours are cleared."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from txtop.plan.plan import DEFAULT_MARGIN
from txtop.protocol import events
from txtop.runner.isolation_run import LEAST_ROUNDS, MOST_ROUNDS, judge_isolation
from txtop.state.isolation import describe_isolation, is_cleared, is_slowed

RUNS = 400


def simulate(
    seed: int,
    hog: float,
    noise: float,
    rounds: int,
    judge: Callable[[events.Isolation], bool] = is_slowed,
    places: int = 4,
) -> list[bool]:
    """Return which places are named, or cleared; `hog` is what neighbours cost the second of them.

    Blocks vary by `noise`, and the machine drifts by a tenth in all.
    """
    rng = random.Random(seed)
    named = []
    for place in range(places):
        cost = hog if place == 1 else 1.0
        drift = [1 + 0.1 * i / rounds for i in range(rounds)]
        alone = [1e8 * d * rng.gauss(1, noise) for d in drift]
        beside = [1e8 * d * cost * rng.gauss(1, noise) for d in drift]
        named.append(judge(judge_isolation(f"cuda:{place}", alone, beside, DEFAULT_MARGIN)))
    return named


@pytest.mark.parametrize("rounds", [LEAST_ROUNDS, MOST_ROUNDS])
@pytest.mark.parametrize("noise", [0.005, 0.02])
def test_a_hog_is_named_and_no_other_place_in_nine_of_ten_runs(rounds: int, noise: float) -> None:
    right = sum(
        simulate(seed, 1.2, noise, rounds) == [False, True, False, False] for seed in range(RUNS)
    )
    assert right >= 0.9 * RUNS


@pytest.mark.parametrize("rounds", [LEAST_ROUNDS, MOST_ROUNDS])
@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05])
def test_equal_neighbours_are_cleared_in_nine_of_ten_runs(rounds: int, noise: float) -> None:
    """Where blocks vary by 5 % they are not accused, but no longer cleared: nothing is decided."""
    accused = sum(any(simulate(seed, 1.0, noise, rounds)) for seed in range(RUNS))
    assert accused <= 0.1 * RUNS
    cleared = sum(all(simulate(seed, 1.0, noise, rounds, is_cleared)) for seed in range(RUNS))
    assert (cleared >= 0.9 * RUNS) == (noise < 0.05)


def test_a_cost_below_the_margin_is_no_finding() -> None:
    alone = [1e8 * (1 + i / 1000) for i in range(6)]
    outcome = judge_isolation("cuda:0", alone, [1.01 * ns for ns in alone], DEFAULT_MARGIN)
    assert not is_slowed(outcome)
    assert describe_isolation(outcome) == (
        "neighbours cost cuda:0 nothing that can be shown: 1.01x [1.010, 1.010]"
    )


def test_the_words_of_a_finding_have_its_interval() -> None:
    outcome = events.Isolation(
        t_ns=0, place="cpu:0-3", rounds=6, margin=0.02, ratio=1.204, ci95=(1.15, 1.25)
    )
    assert describe_isolation(outcome) == (
        "beside its neighbours cpu:0-3 takes 1.20x [1.15, 1.25] as long"
    )


def test_a_wide_interval_decides_nothing() -> None:
    outcome = events.Isolation(
        t_ns=0, place="cpu:0", rounds=4, margin=0.02, ratio=1.63, ci95=(0.77, 3.44)
    )
    assert not is_slowed(outcome) and not is_cleared(outcome)
    assert describe_isolation(outcome) == (
        "not decided what neighbours cost cpu:0: 1.63x [0.77, 3.44]"
    )


def test_what_others_took_meanwhile_is_not_the_neighbours() -> None:
    hog = events.Contention(
        kind="others", size=1.3, processes=(events.ForeignProcess(pid=7, name="make", cores=1.3),)
    )
    alone = [1e8 * (1 + i / 1000) for i in range(6)]
    outcome = judge_isolation("cpu:0", alone, [1.7 * ns for ns in alone], DEFAULT_MARGIN, [hog])
    assert outcome.ratio is None and not is_slowed(outcome) and not is_cleared(outcome)
    assert describe_isolation(outcome) == (
        "neighbours of cpu:0 not judged: this machine was busy: others used 1.3 cores: make 7"
    )


def test_one_round_has_no_interval_and_says_so() -> None:
    outcome = judge_isolation("cuda:0", [1e8], [1e8], DEFAULT_MARGIN)
    assert outcome.ci95 is None and not is_slowed(outcome)
    assert describe_isolation(outcome) == "neighbours of cuda:0 not judged: too few rounds"
